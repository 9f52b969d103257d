// Package console is the sandbox's web page: drop pictures in, watch the function work, see the card beside the picture.
// It loads nothing from elsewhere, needs no build step, and shows ID numbers only when asked to.
package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/management"
)

// MaxPicture is the largest picture that can be dropped in, in bytes; the function's own default limit.
const MaxPicture = 20 << 20

// Folder is the prefix of the keys of pictures that were dropped in.
const Folder = "console/"

// policy lets the page load its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

//go:embed page
var files embed.FS

var page = template.Must(template.ParseFS(files, "page/index.html"))

// Image is an image in the bucket.
type Image struct {
	Key      string
	Size     int64
	Uploaded time.Time
	// DocumentETag is that of the document beside it, empty if there is none.
	DocumentETag string
}

// Store is the bucket as the page needs it. Object returns nil if there is no such object.
type Store interface {
	Upload(ctx context.Context, key string, content []byte) error
	Object(ctx context.Context, key string) ([]byte, error)
	Images(ctx context.Context) ([]Image, error)
}

// Activity is where the page learns what happens; *management.Server is one.
type Activity interface {
	Requests() []management.Request
	Subscribe() (notices <-chan management.Notice, cancel func())
}

// Config is what the console shows. All fields but Log are required.
type Config struct {
	Bucket                    string
	Store                     Store
	Activity                  Activity
	Ledger                    *gateway.Ledger
	IsImage                   func(key string) bool
	ImageSuffixes             []string
	ResultSuffix, ClaimSuffix string
	// Log gets what the page could not be told; nil discards.
	Log *slog.Logger
}

// Server is the console, an http.Handler. Make one with New.
type Server struct {
	config Config
	mux    *http.ServeMux

	mu        sync.Mutex
	summaries map[string]cached // by key
}

// cached is a summary and the ETag of the document that it was made of.
type cached struct {
	etag    string
	summary Summary
}

// New returns the console.
func New(config Config) (*Server, error) {
	if config.Bucket == "" || config.Store == nil || config.Activity == nil || config.Ledger == nil || config.IsImage == nil ||
		config.ResultSuffix == "" || config.ClaimSuffix == "" {
		return nil, errors.New("console: Config is incomplete: all fields but Log are required")
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config, mux: http.NewServeMux(), summaries: map[string]cached{}}
	s.mux.HandleFunc("GET /{$}", s.index)
	for _, name := range []string{"app.css", "app.js", "words.js", "icon.svg"} {
		s.mux.HandleFunc("GET /console/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, "page/"+name)
		})
	}
	s.mux.HandleFunc("GET /console/images", s.list)
	s.mux.HandleFunc("POST /console/images", s.upload)
	s.mux.HandleFunc("GET /console/image", s.detail)
	s.mux.HandleFunc("GET /console/picture", s.picture)
	s.mux.HandleFunc("GET /console/steps", s.stream)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "NotFound", "there is nothing here; the console is at / and docs/sandbox.md lists what else there is")
	})
	return s, nil
}

// ServeHTTP serves the page and what it asks for.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	err := page.Execute(w, map[string]string{
		"Lang": language(r.Header.Get("Accept-Language")), "Accept": strings.Join(s.config.ImageSuffixes, ","),
	})
	if err != nil {
		s.config.Log.Debug("the page was not sent", "reason", err)
	}
}

// Summary is a line of the table. The ID number in it is masked.
type Summary struct {
	Key string `json:"key"`
	// Status is that of the document, or "pending".
	Status   string    `json:"status"`
	Code     string    `json:"code,omitempty"`
	Name     string    `json:"name,omitempty"`
	IDNumber string    `json:"idNumber,omitempty"`
	Valid    bool      `json:"valid"`
	Charged  bool      `json:"charged"`
	Uploaded time.Time `json:"uploaded"`
}

// document is the part of a result document that the console judges.
type document struct {
	Status string `json:"status"`
	Card   struct {
		Name     string `json:"name"`
		IDNumber string `json:"idNumber"`
	} `json:"card"`
	Validation struct {
		Valid bool `json:"valid"`
	} `json:"validation"`
	OCR struct {
		Charged bool `json:"charged"`
	} `json:"ocr"`
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
}

// list answers with all images, the newest first.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	images, err := s.config.Store.Images(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	summaries := make([]Summary, 0, len(images))
	for _, image := range images {
		summary, err := s.summary(r.Context(), image)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		summaries = append(summaries, summary)
	}
	slices.SortStableFunc(summaries, func(a, b Summary) int { return b.Uploaded.Compare(a.Uploaded) })
	respond(w, http.StatusOK, map[string]any{"images": summaries})
}

// summary reads the image's document unless it is the one that was read before.
func (s *Server) summary(ctx context.Context, image Image) (Summary, error) {
	summary := Summary{Key: image.Key, Status: "pending", Uploaded: image.Uploaded}
	if image.DocumentETag == "" {
		return summary, nil
	}
	s.mu.Lock()
	known := s.summaries[image.Key]
	s.mu.Unlock()
	if known.etag == image.DocumentETag {
		known.summary.Uploaded = image.Uploaded
		return known.summary, nil
	}
	raw, err := s.config.Store.Object(ctx, image.Key+s.config.ResultSuffix)
	if err != nil || raw == nil {
		return summary, err // deleted meanwhile
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		summary.Status, summary.Code = "failed", "BadDocument"
		return summary, nil
	}
	summary.Status, summary.Code, summary.Name = d.Status, d.Error.Code, d.Card.Name
	summary.IDNumber, summary.Valid, summary.Charged = mask(d.Card.IDNumber), d.Validation.Valid, d.OCR.Charged
	s.mu.Lock()
	s.summaries[image.Key] = cached{image.DocumentETag, summary}
	s.mu.Unlock()
	return summary, nil
}

// mask shows the first six characters, the region, and the last one.
func mask(idNumber string) string {
	if len(idNumber) < 8 {
		return strings.Repeat("*", len(idNumber))
	}
	return idNumber[:6] + strings.Repeat("*", len(idNumber)-7) + idNumber[len(idNumber)-1:]
}

// Detail is everything about one image.
type Detail struct {
	Key string `json:"key"`
	// Document is the stored document, null if there is none. Its ID number is masked unless reveal=1 was asked for.
	Document json.RawMessage `json:"document"`
	Masked   bool            `json:"masked"`
	Steps    []Step          `json:"steps"`
	// Calls and Charged count the calls of the gateway about this image since the start of the sandbox.
	Calls   int `json:"calls"`
	Charged int `json:"charged"`
}

func (s *Server) detail(w http.ResponseWriter, r *http.Request) {
	key, ok := s.key(w, r)
	if !ok {
		return
	}
	raw, err := s.config.Store.Object(r.Context(), key+s.config.ResultSuffix)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	picture, err := s.config.Store.Object(r.Context(), key)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	detail := Detail{Key: key, Steps: s.history(key, sha256.Sum256(picture))}
	for _, step := range detail.Steps {
		if step.Service == management.ServiceGateway {
			detail.Calls++
			if step.Charged {
				detail.Charged++
			}
		}
	}
	var d document
	if json.Unmarshal(raw, &d) == nil {
		if id := d.Card.IDNumber; id != "" && r.URL.Query().Get("reveal") != "1" {
			raw, detail.Masked = bytes.ReplaceAll(raw, []byte(id), []byte(mask(id))), true
		}
		detail.Document = raw
	}
	respond(w, http.StatusOK, detail)
}

// pictureTypes are the types that a browser may be given; anything else, such as HTML in disguise, it is not.
var pictureTypes = []string{"image/jpeg", "image/png", "image/bmp", "image/webp", "image/gif"}

func (s *Server) picture(w http.ResponseWriter, r *http.Request) {
	key, ok := s.key(w, r)
	if !ok {
		return
	}
	content, err := s.config.Store.Object(r.Context(), key)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	contentType := http.DetectContentType(content)
	switch {
	case content == nil:
		refuse(w, http.StatusNotFound, "ImageNotFound", "there is no such picture")
	case !slices.Contains(pictureTypes, contentType):
		refuse(w, http.StatusUnsupportedMediaType, "ImageUnsupported", "this picture cannot be shown here; shown are "+strings.Join(pictureTypes, ", "))
	default:
		w.Header().Set("Content-Type", contentType)
		w.Write(content) //nolint:errcheck // the caller has left
	}
}

// key takes the image that is asked about out of the query.
func (s *Server) key(w http.ResponseWriter, r *http.Request) (string, bool) {
	key := r.URL.Query().Get("key")
	if !s.config.IsImage(key) {
		refuse(w, http.StatusBadRequest, "BadRequest", "key must be that of an image; it ends in one of "+strings.Join(s.config.ImageSuffixes, ", "))
		return "", false
	}
	return key, true
}

// upload stores the picture in the body under the name in the query.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" || len(name) > 255 || name != path.Base(name) || strings.ContainsAny(name, "\\\x00") || !utf8.ValidString(name) {
		refuse(w, http.StatusBadRequest, "BadRequest", "name must be a file name of 1 to 255 bytes, without folders")
		return
	}
	if !s.config.IsImage(name) {
		refuse(w, http.StatusUnsupportedMediaType, "ImageUnsupported", "the name must end in one of "+strings.Join(s.config.ImageSuffixes, ", "))
		return
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPicture))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "ImageTooLarge", fmt.Sprintf("a picture may have at most %d MB", MaxPicture>>20))
		return
	case err != nil || len(content) == 0:
		refuse(w, http.StatusBadRequest, "BadRequest", "the body must be the picture")
		return
	}
	if err := s.config.Store.Upload(r.Context(), Folder+name, content); err != nil {
		s.fail(w, r, err)
		return
	}
	respond(w, http.StatusCreated, map[string]string{"key": Folder + name})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.config.Log.Error("the console cannot use the bucket", "reason", err)
	}
	refuse(w, http.StatusBadGateway, "Unavailable", "the sandbox's OSS did not do it; a fault may be ordered, else see the sandbox's own output")
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the caller has left
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	respond(w, status, map[string]string{"code": code, "error": message})
}
