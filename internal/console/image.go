package console

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// MaxPicture is the largest picture that is shown or can be dropped in, in bytes; the function's own default limit.
const MaxPicture = 20 << 20

// Detail is everything about one image. Unless Masked is false, what is personal in it is masked.
type Detail struct {
	Row
	Masked   bool             `json:"masked"`
	Document *result.Document `json:"document,omitempty"`
	Review   *result.Review   `json:"review,omitempty"`
	// History is of a sandbox only. Known reports whether it reaches back to the image's last invocation.
	History *History `json:"history,omitempty"`
	Known   bool     `json:"known"`
	// Calls and Charged count the recorded calls of the gateway about this image.
	Calls   int  `json:"calls"`
	Charged int  `json:"charges"`
	GaveUp  bool `json:"gaveUp"`
}

// find returns the row that a request names by its ID.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (row, bool) {
	found, ok := s.index.row(r.URL.Query().Get("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "ImageNotFound", "there is no such image any more")
	}
	return found, ok
}

// readDocument reads the document that is stored under the key. It is nil if what is there is none of this program.
func readDocument(ctx context.Context, b Bucket, key string) (*result.Document, error) {
	body, err := b.Read(ctx, key, result.MaxBytes)
	if ossclient.TooLarge(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := result.Parse(body)
	if errors.Is(err, result.ErrForeign) {
		return nil, nil
	}
	return d, err
}

// document reads the document beside an image; nil if there is none or it is foreign.
func (s *Server) document(ctx context.Context, key string) (*result.Document, error) {
	d, err := readDocument(ctx, s.config.Bucket, s.config.Keys.Result(key))
	if ossclient.NotFound(err) {
		return nil, nil
	}
	return d, err
}

// review reads the review of a document; nil if there is none.
func (s *Server) review(ctx context.Context, key string) (*result.Review, error) {
	body, err := s.config.Bucket.Read(ctx, key+result.ReviewSuffix, result.MaxBytes)
	if ossclient.NotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	review, err := result.ParseReview(body)
	if err != nil {
		return nil, nil
	}
	return review, nil
}

func (s *Server) getImage(w http.ResponseWriter, r *http.Request) {
	found, ok := s.find(w, r)
	if !ok {
		return
	}
	key := found.entry.Key
	document, err := s.document(r.Context(), key)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var review *result.Review
	if found.entry.Review != nil {
		if review, err = s.review(r.Context(), key); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if found.entry.Document != nil && !found.facts.read {
		found.facts = factsOf(document)
	}
	detail := Detail{Row: found.view(&s.config), Masked: r.URL.Query().Get("reveal") != "1", Document: document, Review: review}
	if review == nil || document == nil || !review.About(document) { // the listing shows only that one lies there, and is newer
		detail.Reviewed = false
	}
	if s.config.Activity != nil {
		s.history(&detail, key)
	}
	if detail.Masked {
		if document != nil {
			masked := document.Mask()
			detail.Document = &masked
		}
		if review != nil {
			masked := review.Mask()
			detail.Review = &masked
		}
	} else {
		detail.Key, detail.Name, detail.IDNumber = key, found.facts.name, found.facts.idNumber
	}
	respond(w, http.StatusOK, detail)
}

// history adds what the sandbox recorded.
func (s *Server) history(detail *Detail, key string) {
	requestID := ""
	if detail.Document != nil {
		requestID = detail.Document.OCR.RequestID
	}
	history := s.config.Activity.History(key, requestID)
	for n := range history.Steps {
		step := &history.Steps[n]
		step.Image = detail.ID
		detail.Known = detail.Known || step.Step == StepClaim
		if step.Service == "gateway" {
			detail.Calls++
			if step.Charged {
				detail.Charged++
			}
		}
	}
	// An image that nobody has worked on has no steps to be forgotten.
	detail.Known = detail.Known || (detail.Document == nil && detail.Uploaded.After(history.Since))
	detail.History, detail.GaveUp = &history, s.config.Activity.GaveUp(key)
}

// shownTypes are the types that a browser may be given; anything else, such as HTML in disguise, it is not.
var shownTypes = []string{"image/jpeg", "image/png", "image/bmp", "image/webp", "image/gif"}

// thumbnail is how OSS makes the picture of a row.
const thumbnail = "image/auto-orient,1/resize,m_lfit,w_192,h_120/format,jpg/quality,q_80"

// shownHEIC is how OSS makes a picture that browsers do not show.
const shownHEIC = "image/auto-orient,1/resize,m_lfit,w_2000,h_2000/format,jpg"

func (s *Server) getPicture(w http.ResponseWriter, r *http.Request) {
	found, ok := s.find(w, r)
	if !ok {
		return
	}
	var content []byte
	var err error
	key, size := found.entry.Key, found.entry.Image.Size
	switch small := r.URL.Query().Get("size") == "small"; {
	case size > MaxPicture:
		refuse(w, http.StatusRequestEntityTooLarge, "ImageTooLarge", "the picture is larger than 20 MB and is not shown")
		return
	case small:
		content, err = s.config.Bucket.Process(r.Context(), key, thumbnail, MaxPicture)
	default:
		content, err = s.config.Bucket.Read(r.Context(), key, MaxPicture)
		if err == nil && result.SniffPicture(content) == result.HEIC {
			content, err = s.config.Bucket.Process(r.Context(), key, shownHEIC, MaxPicture)
		}
	}
	var refused *ossclient.Error
	switch {
	case ossclient.NotFound(err):
		refuse(w, http.StatusNotFound, "ImageNotFound", "there is no such image any more")
		return
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest: // OSS cannot process it
		refuse(w, http.StatusUnsupportedMediaType, "ImageUnsupported", "OSS cannot make a picture of this object that a browser shows")
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	contentType := http.DetectContentType(content)
	if !slices.Contains(shownTypes, contentType) {
		refuse(w, http.StatusUnsupportedMediaType, "ImageUnsupported", "this picture cannot be shown here; shown are "+strings.Join(shownTypes, ", "))
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(content) //nolint:errcheck // the caller has left
}

// getDownload sends the picture, or the document or review beside it, as a file.
func (s *Server) getDownload(w http.ResponseWriter, r *http.Request) {
	found, ok := s.find(w, r)
	if !ok {
		return
	}
	key, limit := found.entry.Key, int64(result.MaxBytes)
	switch what := r.URL.Query().Get("what"); what {
	case "picture":
		limit = max(MaxPicture, found.entry.Image.Size)
	case "document":
		key = s.config.Keys.Result(key)
	case "review":
		key += result.ReviewSuffix
	default:
		refuse(w, http.StatusBadRequest, "BadRequest", "what is accepted: picture, document or review")
		return
	}
	content, err := s.config.Bucket.Read(r.Context(), key, limit)
	switch {
	case ossclient.NotFound(err):
		refuse(w, http.StatusNotFound, "ImageNotFound", "there is no such object any more")
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(key)}))
	w.Write(content) //nolint:errcheck // the caller has left
}
