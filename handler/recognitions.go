package handler

import (
	"context"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
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
		problem(w, r, http.StatusUnsupportedMediaType, result.Errorf(result.BadRequest, false,
			`the Content-Type is neither application/json, with a body {"bucket":...,"key":...}, nor image/*, with a picture as the body`))
	}
}

func (h *Handler) postObject(w http.ResponseWriter, r *http.Request) {
	o, e := decodeObjectRequest(r.Body)
	if e != nil {
		problem(w, r, badRequestStatus(e), e)
		return
	}
	if !h.authorize(w, r, o.Bucket, o.Key) {
		return
	}
	if !h.options.Keys.IsImage(o.Key) {
		problem(w, r, http.StatusBadRequest, result.Errorf(result.BadRequest, false, "the key ends in none of IMAGE_SUFFIXES (%s)", strings.Join(h.options.Keys.ImageSuffixes, ", ")))
		return
	}
	h.processor.DropStaleConnections()
	image := result.Image{Bucket: o.Bucket, Key: o.Key}
	outcome := h.processor.Process(r.Context(), invocation(r.Context()), processor.Request{Image: image, Force: o.Force})
	switch {
	case outcome.Status == processor.Missing:
		writeFailure(w, r, result.Errorf(result.ImageNotFound, false, "there is no such object"))
	case outcome.Status == processor.Unchanged:
		h.writeStored(w, r, o.Bucket, o.Key)
	case outcome.Document != nil:
		d, _ := h.withoutForeignKey(outcome.Document, o.Bucket)
		writeDocument(w, r, d)
	default:
		writeFailure(w, r, outcome.Err)
	}
}

// postPicture recognises the body. Nothing is stored, and nothing prevents paying twice for a picture that is sent twice.
func (h *Handler) postPicture(w http.ResponseWriter, r *http.Request) {
	picture, release, e := h.picture(r)
	defer release()
	switch {
	case e != nil && (e.Code == result.ImageUnsupported || e.Code == result.Throttled):
		writeFailure(w, r, e)
		return
	case e != nil:
		problem(w, r, badRequestStatus(e), e)
		return
	}
	h.processor.DropStaleConnections()
	writeDocument(w, r, h.processor.ProcessPicture(r.Context(), invocation(r.Context()), picture).Document)
}

// picture reads the body. release ends the use of its memory, and is never nil.
func (h *Handler) picture(r *http.Request) (p processor.Picture, release func(), e *result.Error) {
	limit := h.options.MaxImageBytes
	release = func() {}
	if body, ok := r.Body.(encodedBody); ok {
		p.Base64, p.Size = body.text, body.size
	} else if r.ContentLength > limit {
		p.Size = r.ContentLength // not worth reading
	} else {
		var image []byte
		var err error
		if image, release, e, err = h.readBody(r, limit); e != nil {
			return p, release, e
		}
		if err != nil {
			return p, release, result.Errorf(result.BadRequest, false, "the body broke off")
		}
		p.Image, p.Size = image, int64(len(image))
	}
	switch {
	case p.Size > limit:
		return p, release, result.Errorf(result.ImageTooLarge, false, "the picture has more than MAX_IMAGE_BYTES (%d)", limit)
	case p.Size <= 0:
		return p, release, result.Errorf(result.BadRequest, false, "the body is empty; send the picture's bytes")
	}
	return p, release, checkType(p)
}

// checkType refuses pictures that the provider cannot take. Nothing can convert them: OSS converts objects only.
func checkType(p processor.Picture) *result.Error {
	begin := p.Image
	if begin == nil {
		begin, _ = base64.StdEncoding.DecodeString(p.Base64[:min(len(p.Base64), base64.StdEncoding.EncodedLen(result.SniffBytes))/4*4])
	}
	switch kind := result.SniffPicture(begin); kind {
	case result.HEIC, result.TIFF, result.PDF:
		return result.Errorf(result.ImageUnsupported, false, "the body is a %s file; the provider takes %s, and nothing converts a picture in a body", kind, result.ProviderTypes)
	}
	return nil
}

func (h *Handler) getRecognition(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["bucket"]) != 1 || len(query["key"]) != 1 {
		problem(w, r, http.StatusBadRequest, result.Errorf(result.BadRequest, false, "the query does not have bucket and key once each, percent-encoded: expected ?bucket=...&key=..."))
		return
	}
	if h.authorize(w, r, query.Get("bucket"), query.Get("key")) {
		h.writeStored(w, r, query.Get("bucket"), query.Get("key"))
	}
}

// writeStored answers with the document beside an image: as it is to GET, but for a key that the caller may not know, and by its status
// to POST.
func (h *Handler) writeStored(w http.ResponseWriter, r *http.Request, name, key string) {
	inv := invocation(r.Context())
	store, err := h.processor.OpenBucket(name, "", inv, h.processor.Logger(inv, result.Image{Bucket: name, Key: key}))
	if err != nil {
		writeFailure(w, r, result.Errorf(result.AccessDenied, true, "%v", err))
		return
	}
	ctx, cancel := context.WithDeadline(r.Context(), inv.Deadline)
	defer cancel()
	body, _, err := store.Read(ctx, h.options.Keys.Result(key), bucket.ReadOptions{Limit: result.MaxBytes})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		writeFailure(w, r, result.Errorf(result.ImageNotFound, false, "there is no document for this key"))
		return
	case errors.Is(err, bucket.ErrTooLarge):
		writeFailure(w, r, foreignDocument())
		return
	case errors.Is(err, bucket.ErrArchived):
		writeFailure(w, r, result.Errorf(result.StorageRefused, true, "the document is archived; restore it, and ask again"))
		return
	case err != nil:
		writeFailure(w, r, processor.StorageError(err))
		return
	}
	d, err := result.Parse(body)
	if err != nil {
		writeFailure(w, r, foreignDocument())
		return
	}
	d, dropped := h.withoutForeignKey(d, name)
	if dropped {
		body = d.Encode()
	}
	switch {
	case r.Method != http.MethodPost || d.Status == result.Recognized:
		writeBytes(w, http.StatusOK, body)
	case d.Status == result.Unrecognized:
		writeBytes(w, http.StatusUnprocessableEntity, body)
	default:
		writeDocument(w, r, d)
	}
}

func foreignDocument() *result.Error {
	return result.Errorf(result.StorageRefused, true, "the object in the document's place is not one of this program; remove it or change RESULT_SUFFIX")
}

// authorize answers requests that name no object, or one outside HTTP_ALLOW.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request, name, key string) bool {
	switch {
	case name == "" || key == "":
		problem(w, r, http.StatusBadRequest, result.Errorf(result.BadRequest, false, "bucket and key are required"))
	case len(key)+max(len(h.options.Keys.ResultSuffix), len(h.options.Keys.ClaimSuffix)) > maxKeyBytes || !utf8.ValidString(key) || key[0] == '/' || key[0] == '\\':
		problem(w, r, http.StatusBadRequest, result.Errorf(result.BadRequest, false,
			"the key is not UTF-8, begins with a slash or backslash, or is with its suffixes longer than %d bytes", maxKeyBytes))
	case !h.allows(name, key):
		problem(w, r, http.StatusForbidden, result.Errorf(result.NotAllowed, false, "HTTP_ALLOW does not name this object"))
	default:
		return true
	}
	return false
}

// allows compares literally: an entry is a bucket, or a bucket and a prefix of the key as it is. OSS keys are no paths,
// so "..", "//" and "%2F" in them mean nothing but themselves.
func (h *Handler) allows(name, key string) bool {
	for _, entry := range h.options.HTTPAllow {
		allowed, prefix, _ := strings.Cut(entry, "/")
		if name == allowed && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// withoutForeignKey returns the document without ocr.reusedFrom if that is a key outside HTTP_ALLOW, which may hold somebody's name or ID
// number, and whether it did so.
func (h *Handler) withoutForeignKey(d *result.Document, bucketName string) (_ *result.Document, dropped bool) {
	if d.OCR.ReusedFrom == "" || h.allows(bucketName, d.OCR.ReusedFrom) {
		return d, false
	}
	known := *d // the document may be one that waits to be written
	known.OCR.ReusedFrom = ""
	return &known, true
}

func badRequestStatus(e *result.Error) int {
	if e.Code == result.ImageTooLarge {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}
