// Package handler turns one delivery of an event into recognised images: each image ends with exactly one result document
// beside it, and is paid once however often, and however concurrently, its event is delivered.
//
// It never logs or reports anything read from a card, a secret or a URL. What it promises, and on which behaviour of OSS
// and of the API gateway that rests, is written in docs/guarantees.md.
package handler

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"

	"golang.org/x/time/rate"
)

// Store is one bucket as the handler needs it; *bucket.Bucket is the real one. Errors wrap the kinds of package bucket.
type Store interface {
	Stat(ctx context.Context, key string) (bucket.Object, error)
	Read(ctx context.Context, key, process string, limit int64) ([]byte, error)
	SignURL(key, process string, life time.Duration) (string, error)
	Append(ctx context.Context, key string, position int64, data []byte) (length int64, err error)
	Write(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error
	Create(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error
	Remove(ctx context.Context, key string) error
}

var _ Store = (*bucket.Bucket)(nil)

// Recognizer makes one paid call; *ocrclient.Client is the real one.
type Recognizer interface {
	Recognize(context.Context, ocrclient.Request) (*ocrclient.Answer, error)
}

// Source says how pictures reach the provider.
type Source string

// The sources of design: Auto sends a signed URL, and the picture itself if the provider could not read the URL for free.
const (
	SourceAuto Source = "auto"
	SourceURL  Source = "url"
	SourceData Source = "data"
)

// Options configure a Handler. All fields but the last four are required.
type Options struct {
	Open func(name, region string, c bucket.Credentials, log *slog.Logger) (Store, error) // a bucket for one invocation
	OCR  Recognizer

	ImageSource   Source
	Details       bool          // ask for name, sex, ethnicity, birth date and address beside the number
	Timeout       time.Duration // of one OCR call
	MaxAttempts   int           // OCR calls per image and invocation
	RateLimit     float64       // OCR calls per second of this process; 0 means no limit
	ParkLost      bool          // never pay again for a call whose answer was lost
	URLTTL        time.Duration // life of signed URLs
	ImageSuffixes []string      // compared without regard to case
	ResultSuffix  string
	ClaimSuffix   string
	MaxImageBytes int64
	HTTPAllow     []string // "bucket" or "bucket/prefix" that HTTP requests may name
	Version       string
	Settings      map[string]any // what GET /healthz shows of the configuration; no secrets

	Region string                      // used where an event names none
	Wake   func()                      // called when an invocation comes after a pause, in which the instance may have been frozen
	Warm   func(context.Context) error // called by Initialize; makes no request
	Log    *slog.Logger                // nil discards
}

// Handler handles events. It is safe for concurrent use.
type Handler struct {
	Options
	limiter  *rate.Limiter
	started  time.Time
	lastUsed atomic.Int64 // wall clock, Unix nanoseconds

	unwritten unwritten
}

// New returns a Handler.
func New(o Options) *Handler {
	h := &Handler{Options: o, started: time.Now(), limiter: rate.NewLimiter(rate.Inf, 1)}
	if o.RateLimit > 0 {
		h.limiter = rate.NewLimiter(rate.Limit(o.RateLimit), 1)
	}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	return h
}

// Initialize prepares a new instance for its first event, for three seconds at most. It cannot fail: an instance that is not
// warm is only slower.
func (h *Handler) Initialize(ctx context.Context) {
	if h.Warm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := h.Warm(ctx); err != nil {
		h.Log.Warn("instance not warmed", "reason", err.Error())
	}
}

// Invocation is what the platform says beside the event.
type Invocation struct {
	RequestID   string
	RetryCount  int       // of this request ID: 0 for the first attempt
	Deadline    time.Time // the platform ends the invocation then
	Region      string
	Credentials bucket.Credentials // of the function's role, for this invocation only
}

// awake drops connections that a freeze has probably killed. The wall clock counts: the monotonic one may stand still.
func (h *Handler) awake() {
	const pause = 5 * time.Second
	now := time.Now().UnixNano()
	if last := h.lastUsed.Swap(now); h.Wake != nil && last != 0 && time.Duration(now-last) > pause {
		h.Wake()
	}
}

func (h *Handler) region(inv Invocation, event string) string {
	for _, region := range []string{event, inv.Region} {
		if region != "" {
			return region
		}
	}
	return h.Region
}
