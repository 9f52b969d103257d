package handler

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/internal/bucket"
)

const maxKeyBytes = 1023 // of an OSS object key

func (h *Handler) postRecognition(w http.ResponseWriter, r *http.Request) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		h.postObject(w, r)
	case err == nil && strings.HasPrefix(kind, "image/"):
		h.postPicture(w, r)
	default:
		problem(w, r, http.StatusUnsupportedMediaType, failure(BadRequest, false,
			`the Content-Type is neither application/json, with a body {"bucket":...,"key":...}, nor image/*, with a picture as the body`))
	}
}

func (h *Handler) postObject(w http.ResponseWriter, r *http.Request) {
	o, e := decodeObjectRequest(r.Body)
	if e != nil {
		problem(w, r, badRequestStatus(e), e)
		return
	}
	if !h.permitted(w, r, o.Bucket, o.Key) {
		return
	}
	if !h.isImage(o.Key) {
		problem(w, r, http.StatusBadRequest, failure(BadRequest, false, "the key ends in none of IMAGE_SUFFIXES (%s)", strings.Join(h.ImageSuffixes, ", ")))
		return
	}
	h.awake()
	image := namedImage{Image: Image{Bucket: o.Bucket, Key: o.Key}}
	result := h.object(r.Context(), invocation(r.Context()), image, o.Force)
	switch {
	case result.status == missing:
		writeFailure(w, r, failure(ImageNotFound, false, "there is no such object"))
	case result.status == unchanged:
		h.writeStored(w, r, o.Bucket, o.Key)
	case result.document != nil:
		writeDocument(w, r, result.document)
	default:
		writeFailure(w, r, result.err)
	}
}

// postPicture recognises the body. Nothing is stored, and nothing protects from paying twice for a picture sent twice.
func (h *Handler) postPicture(w http.ResponseWriter, r *http.Request) {
	p, size, e := h.picture(r)
	if e != nil {
		problem(w, r, badRequestStatus(e), e)
		return
	}
	h.awake()
	inv := invocation(r.Context())
	log := h.logger(inv, Image{})
	j := &job{h: h, inv: inv, log: log}
	d := &Document{Image: Image{Size: size}}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), inv.Deadline) // a caller that leaves does not undo the charge
	defer cancel()
	done := j.steps.time("recognize")
	last, err := h.newRecognition(p, inv.Deadline, log).run(ctx, d)
	done()
	if err != nil {
		d.fail(failure(Internal, false, "the picture could not be processed"))
	}
	if last.failure != nil && last.keep { // nothing remembers the call: a repetition is a new one
		d.Error.Message += "; the call may have been charged"
	}
	d.stamp(inv.RequestID)
	o := outcome{document: d, status: d.Status}
	if d.Error != nil {
		o.err = &Error{Code: d.Error.Code, Message: d.Error.Message, Retryable: d.Error.Retryable}
	}
	j.report(o)
	writeDocument(w, r, d)
}

func (h *Handler) picture(r *http.Request) (p picture, size int64, e *Error) {
	if body, ok := r.Body.(encodedBody); ok {
		p.base64, size = body.text, body.size
	} else if r.ContentLength > h.MaxImageBytes {
		size = r.ContentLength // not worth reading
	} else {
		image, err := io.ReadAll(io.LimitReader(r.Body, h.MaxImageBytes+1))
		if err != nil {
			return p, 0, failure(BadRequest, false, "the body broke off")
		}
		p.image, size = image, int64(len(image))
	}
	switch {
	case size > h.MaxImageBytes:
		return p, size, failure(ImageTooLarge, false, "the picture has more than MAX_IMAGE_BYTES (%d)", h.MaxImageBytes)
	case size <= 0:
		return p, size, failure(BadRequest, false, "the body is empty; send the picture's bytes")
	}
	return p, size, nil
}

func (h *Handler) getRecognition(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["bucket"]) != 1 || len(query["key"]) != 1 {
		problem(w, r, http.StatusBadRequest, failure(BadRequest, false, "the query does not have bucket and key once each, percent-encoded: expected ?bucket=...&key=..."))
		return
	}
	if h.permitted(w, r, query.Get("bucket"), query.Get("key")) {
		h.writeStored(w, r, query.Get("bucket"), query.Get("key"))
	}
}

// writeStored answers with the document beside an image: as it is to GET, by its status to POST.
func (h *Handler) writeStored(w http.ResponseWriter, r *http.Request, name, key string) {
	inv := invocation(r.Context())
	store, err := h.Open(name, h.region(inv, ""), inv.Credentials, h.logger(inv, Image{Bucket: name, Key: key}))
	if err != nil {
		writeFailure(w, r, failure(AccessDenied, true, "%v", err))
		return
	}
	ctx, cancel := context.WithDeadline(r.Context(), inv.Deadline)
	defer cancel()
	body, err := store.Read(ctx, key+h.ResultSuffix, "", maxClaimBytes)
	switch {
	case gone(err):
		writeFailure(w, r, failure(ImageNotFound, false, "there is no document for this key"))
		return
	case errors.Is(err, bucket.ErrTooLarge):
		writeFailure(w, r, foreignDocument())
		return
	case errors.Is(err, bucket.ErrInvalid):
		problem(w, r, http.StatusBadRequest, failure(BadRequest, false, "OSS refuses the key: %v", err))
		return
	case err != nil:
		writeFailure(w, r, storageFailure(err))
		return
	}
	var d Document
	switch err := json.Unmarshal(body, &d); {
	case err != nil || (d.Status != Recognized && d.Status != Unrecognized && d.Status != Failed):
		writeFailure(w, r, foreignDocument())
	case r.Method != http.MethodPost || d.Status == Recognized:
		writeBytes(w, http.StatusOK, body)
	case d.Status == Unrecognized:
		writeBytes(w, http.StatusUnprocessableEntity, body)
	default:
		writeDocument(w, r, &d)
	}
}

func foreignDocument() *Error {
	return failure(Internal, false, "the object in the document's place is not one of this program")
}

// permitted answers requests that name no object, or one outside HTTP_ALLOW.
func (h *Handler) permitted(w http.ResponseWriter, r *http.Request, name, key string) bool {
	switch {
	case name == "" || key == "":
		problem(w, r, http.StatusBadRequest, failure(BadRequest, false, "bucket and key are required"))
	case len(key)+max(len(h.ResultSuffix), len(h.ClaimSuffix)) > maxKeyBytes || !utf8.ValidString(key) || key[0] == '/' || key[0] == '\\':
		problem(w, r, http.StatusBadRequest, failure(BadRequest, false,
			"the key is not UTF-8, begins with a slash or backslash, or is with its suffixes longer than %d bytes", maxKeyBytes))
	case !h.allows(name, key):
		problem(w, r, http.StatusForbidden, failure(NotAllowed, false, "HTTP_ALLOW does not name this object"))
	default:
		return true
	}
	return false
}

// allows compares literally: an entry is a bucket, or a bucket and a prefix of the key as it is. OSS keys are no paths,
// so "..", "//" and "%2F" in them mean nothing but themselves.
func (h *Handler) allows(name, key string) bool {
	for _, entry := range h.HTTPAllow {
		allowed, prefix, _ := strings.Cut(entry, "/")
		if name == allowed && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func badRequestStatus(e *Error) int {
	if e.Code == ImageTooLarge {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}
