// Package console is the web page for the operators of a bucket: numbers, a work list, every image beside its document, reviews.
// It works over an interface, so that a sandbox and a real bucket have the same page. It loads nothing from elsewhere, keeps nothing on
// disk, masks personal data until somebody asks for it, and changes nothing before that is confirmed.
package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"fc-idcard-ocr/internal/loopback"
	"fc-idcard-ocr/internal/result"
)

// policy lets the page load its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

//go:embed page
var files embed.FS

var page = template.Must(template.ParseFS(files, "page/index.html"))

// Config is what the console shows. The zero value of an optional field is the default that its comment gives.
type Config struct {
	Bucket Bucket      // required
	Keys   result.Keys // required
	Region string
	// Prefix restricts the console to keys that begin with it.
	Prefix string
	// Function is asked to recognise an image again; nil: the console offers no such action.
	Function Function
	// Activity is what a sandbox knows; nil for a real bucket.
	Activity Activity
	// Sandbox lets pictures be dropped in under Folder, shows them without being asked, and offers the management port's switches.
	Sandbox bool
	// Samples are the specimen cards that a click uploads, by file name; of a sandbox only.
	Samples map[string][]byte
	// Reviewer is who reviews; empty: no reviews can be stored.
	Reviewer string
	// Price is what one charged call costs, in yuan; 0 is not known.
	Price float64
	// Parallel is how many documents are read at a time, 16 by default.
	Parallel int
	// Relist is how often the bucket is listed while a page is open, 1 minute by default.
	Relist time.Duration
	// ClaimAge is the age from which a claim counts as left behind, 15 minutes by default.
	ClaimAge time.Duration
	// GiveUpAge is the age from which no retry of Function Compute is expected any more, 24 hours by default.
	GiveUpAge time.Duration
	// Now is the clock, time.Now by default.
	Now func() time.Time
	// Log gets errors that could not be sent to the page; nil discards them.
	Log *slog.Logger
}

// Server is the console, an http.Handler. Make one with New, and let Run run beside it.
type Server struct {
	config Config
	mux    *http.ServeMux
	index  *index
	hub    hub
	rescan chan struct{}
	naming chan struct{} // held while a name is chosen for an uploaded picture
}

// New returns the console.
func New(config Config) (*Server, error) {
	if config.Bucket == nil || config.Keys.ResultSuffix == "" || config.Keys.ClaimSuffix == "" {
		return nil, errors.New("console: Config is incomplete: Bucket and Keys are required")
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Parallel == 0 {
		config.Parallel = 16
	}
	for duration, otherwise := range map[*time.Duration]time.Duration{
		&config.Relist: time.Minute, &config.ClaimAge: 15 * time.Minute, &config.GiveUpAge: 24 * time.Hour,
	} {
		if *duration == 0 {
			*duration = otherwise
		}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	secret := make([]byte, 32)
	rand.Read(secret) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	s := &Server{config: config, mux: http.NewServeMux(), rescan: make(chan struct{}, 1), naming: make(chan struct{}, 1)}
	s.index = newIndex(&s.config, secret)
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux.HandleFunc("GET /{$}", s.getPage)
	s.mux.HandleFunc("GET /static/{name}", func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); name != "index.html" {
			http.ServeFileFS(w, r, files, "page/"+name)
			return
		}
		s.notFound(w, r)
	})
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /api/about":    s.getAbout,
		"POST /api/images":  s.postImages, // a search may hold a number, which must not be in a URL
		"GET /api/image":    s.getImage,
		"GET /api/picture":  s.getPicture,
		"GET /api/download": s.getDownload,
		"GET /api/numbers":  s.getNumbers,
		"GET /api/work":     s.getWork,
		"POST /api/actions": s.postAction,
		"POST /api/reviews": s.postReview,
		"POST /api/refresh": s.postRefresh,
		"GET /api/events":   s.getEvents,
	} {
		s.mux.HandleFunc(pattern, handle)
	}
	if s.config.Sandbox {
		s.mux.HandleFunc("POST /api/uploads", s.postUpload)
		s.mux.HandleFunc("POST /api/samples", s.postSample)
	}
	s.mux.HandleFunc("/", s.notFound)
}

func (s *Server) notFound(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusNotFound, "NotFound", "there is nothing here; the console is at its first page")
}

// ServeHTTP serves the page and what it asks for, to loopback only.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	w.Header().Set("Cache-Control", "no-store")
	loopback.RequireSameOrigin(s.mux, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "Forbidden", loopback.ErrHost.Error())
	}).ServeHTTP(w, r)
}

// WithToken serves next below /<token>/ and nothing else: who does not know the token learns nothing.
func WithToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _, slash := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case token == "" || subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1:
			refuse(w, http.StatusNotFound, "NotFound", "the address is not complete; open the one that the command printed")
		case !slash:
			http.Redirect(w, r, "/"+token+"/", http.StatusPermanentRedirect)
		default:
			http.StripPrefix("/"+token, next).ServeHTTP(w, r)
		}
	})
}

func (s *Server) getPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	err := page.Execute(w, map[string]string{
		"Lang": language(r.Header.Get("Accept-Language")), "Accept": strings.Join(s.config.Keys.ImageSuffixes, ","),
	})
	if err != nil {
		s.config.Log.Debug("the page was not sent", "reason", err)
	}
}

// getAbout returns the bucket of the page and the actions it allows.
func (s *Server) getAbout(w http.ResponseWriter, _ *http.Request) {
	samples := []string{}
	for name := range s.config.Samples {
		samples = append(samples, name)
	}
	respond(w, http.StatusOK, map[string]any{
		"bucket": s.config.Bucket.Name(), "region": s.config.Region, "prefix": result.MaskKey(s.config.Prefix), "sandbox": s.config.Sandbox,
		"canAct": s.config.Function != nil, "canReview": s.config.Reviewer != "", "price": s.config.Price,
		"suffixes": s.config.Keys.ImageSuffixes, "samples": samples, "remedies": remedies,
	})
}

// Run keeps the listing and the documents of the console up to date until ctx ends.
func (s *Server) Run(ctx context.Context) {
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		s.follow(ctx)
	}()
	defer func() { <-followed }()
	ticker := time.NewTicker(s.config.Relist)
	defer ticker.Stop()
	for {
		changed, err := s.index.scan(ctx, s.hub.changed)
		if err != nil && ctx.Err() == nil {
			s.config.Log.Warn("the console cannot list the bucket", "reason", err)
		}
		if changed || err != nil {
			s.hub.changed()
		}
		if !s.wait(ctx, ticker) {
			return
		}
	}
}

// wait waits until the bucket must be listed again: on request, or if the listing is old and a page is open.
func (s *Server) wait(ctx context.Context, ticker *time.Ticker) bool {
	for {
		select {
		case <-s.rescan:
			return true
		case <-ticker.C:
			if s.hub.watched() {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// postRefresh has the bucket listed anew.
func (s *Server) postRefresh(w http.ResponseWriter, _ *http.Request) {
	select {
	case s.rescan <- struct{}{}:
	default: // it will be
	}
	w.WriteHeader(http.StatusAccepted)
}

// fail answers for a bucket that did not do what it was asked.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.config.Log.Warn("the console cannot use the bucket", "reason", err)
	}
	refuse(w, http.StatusBadGateway, "Unavailable", err.Error())
}

// maxBody is the largest JSON body that is read, in bytes.
const maxBody = 1 << 20

// decode reads a JSON object, and answers if it is none.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields() // a misspelt member would silently do nothing
	err := body.Decode(into)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", "the body is not the JSON object that is expected: "+strings.TrimPrefix(err.Error(), "json: "))
	}
	return err == nil
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the caller has left
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	respond(w, status, map[string]string{"code": code, "error": message})
}
