// Package processor turns one image into a result document: it claims the image, inspects it, makes the paid call, writes the
// document and releases the claim. Each image ends with exactly one document beside it, and is paid for once however often, and
// however concurrently, its event is delivered.
//
// It never logs or reports anything read from a card, a secret or a URL. What it promises, and on which behaviour of OSS
// and of the API gateway that rests, is written in docs/guarantees.md.
package processor

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"golang.org/x/time/rate"
)

// Bucket is one bucket as the processor needs it; *bucket.Bucket is the real one. Errors wrap the kinds of package bucket.
type Bucket interface {
	Head(ctx context.Context, key string) (bucket.Object, error)
	Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error)
	SignURL(key, process, versionID string, life time.Duration) (string, error)
	Append(ctx context.Context, key string, position int64, data []byte) (bucket.Appended, error)
	Put(ctx context.Context, key string, body []byte, o bucket.PutOptions) error
	Delete(ctx context.Context, key string) error
}

var _ Bucket = (*bucket.Bucket)(nil)

// OCRClient makes one paid call; *ocrclient.Client is the real one. It is done with the request's Image when it returns.
type OCRClient interface {
	Recognize(context.Context, ocrclient.Request) (*ocrclient.Response, error)
}

// Options configure a Processor. Open and OCR are required; the rest is plain configuration.
type Options struct {
	Open func(name, region string, c bucket.Credentials, log *slog.Logger) (Bucket, error) // a bucket for one invocation
	OCR  OCRClient

	ImageSource   config.ImageSource
	Details       bool              // ask for name, sex, ethnicity, birth date and address beside the number
	Timeout       time.Duration     // of one OCR call
	MaxAttempts   int               // OCR calls per image and invocation
	RateLimit     float64           // OCR calls per second of this process; 0 means no limit
	DailyLimit    int               // OCR calls per day over all instances; 0 means no limit
	BudgetBucket  string            // holds the day's budget; empty: the image's own bucket
	PictureBudget string            // the bucket of the budget for pictures that come with a request, if BudgetBucket is empty
	Reuse         bool              // pay once for equal bytes, found by their SHA-256
	SecondLook    bool              // call once more without details if nothing was recognised and nothing charged
	OnLostAnswer  config.LostAnswer // what follows a call that may have been charged without a response
	URLTTL        time.Duration     // life of signed URLs
	Keys          result.Keys
	// RemoveWithImage removes the document of an image that is gone.
	RemoveWithImage bool
	Retention       result.Retention // what of a card documents keep
	ClaimKey        claim.Key        // authenticates the lines of claims
	MaxImageBytes   int64

	Region   string       // used where an event names none
	OnResume func()       // called when an invocation comes after a pause, in which the instance may have been frozen
	Log      *slog.Logger // nil discards
}

// Processor processes images. It is safe for concurrent use.
type Processor struct {
	options  Options
	log      *slog.Logger
	limiter  *rate.Limiter
	lastUsed atomic.Int64 // wall clock, Unix nanoseconds

	pending pendingResults
	breaker breaker
	budgets budgets
	buffers buffers
}

// New returns a Processor.
func New(o Options) *Processor {
	p := &Processor{options: o, log: o.Log, limiter: rate.NewLimiter(rate.Inf, 1)}
	if o.RateLimit > 0 {
		p.limiter = rate.NewLimiter(rate.Limit(o.RateLimit), 1)
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	return p
}

// Health is the state of a process in GET /healthz.
type Health struct {
	// Breaker is closed, or open while no call is paid a second time because several answers in a row were lost.
	Breaker string `json:"breaker"`
	// LostInARow counts the answers lost since the last one that came.
	LostInARow int `json:"lostInARow"`
}

// Health returns the state of the calls of this process.
func (p *Processor) Health() Health { return p.breaker.health() }

// Invocation is what the platform says beside the event.
type Invocation struct {
	RequestID   string
	RetryCount  int       // of this request ID: 0 for the first attempt
	Deadline    time.Time // the platform ends the invocation then
	Region      string
	Credentials bucket.Credentials // of the function's role, for this invocation only
}

// Outcome is how an image ended in this invocation.
type Outcome struct {
	Document *result.Document // written beside the image; nil if nothing was written
	Status   result.Status    // of the document, or Unchanged or Missing
	Err      *result.Error    // why there is no card, or why there is no document
}

// The outcomes without a document of this invocation.
const (
	Unchanged result.Status = "unchanged" // a final document for this version of the image was there already
	Missing   result.Status = "missing"   // the image is gone
	Removed   result.Status = "removed"   // the image is gone, and its document was removed
)

// Retry reports whether the platform should deliver the event again.
func (o Outcome) Retry() bool { return o.Err != nil && o.Err.Retryable }

// Request names an object that is to be recognised.
type Request struct {
	Image  result.Image
	Region string // of the bucket, from the event; empty: the region of the function
	// Removed: the event says that the image is gone. Nothing is recognised; if it is there again, its own event counts.
	Removed bool
	Force   bool // recognise, and pay, although a final document is there
}

// Process recognises one object. A caller that goes away does not stop it: the call may be paid already.
func (p *Processor) Process(ctx context.Context, inv Invocation, r Request) (o Outcome) {
	log := p.Logger(inv, r.Image)
	defer recoverPanic(log, &o)
	if time.Until(inv.Deadline) < writeReserve {
		log.Warn("image done", "status", string(result.Failed), "code", string(result.Timeout), "retryable", true)
		return Outcome{Status: result.Failed, Err: result.Errorf(result.Timeout, true, "no time left in this invocation")}
	}
	store, err := p.OpenBucket(r.Image.Bucket, r.Region, inv, log)
	if err != nil {
		log.Warn("image done", "status", string(result.Failed), "code", string(result.AccessDenied), "retryable", true, "reason", err.Error())
		return Outcome{Status: result.Failed, Err: result.Errorf(result.AccessDenied, true, "%v", err)}
	}
	t := &imageTask{p: p, inv: inv, store: store, log: log, image: r.Image, force: r.Force, removed: r.Removed}
	return t.run(context.WithoutCancel(ctx))
}

// OpenBucket opens a bucket with the invocation's credentials. Its region is that of the event, of the invocation, or the
// function's own, whichever is known.
func (p *Processor) OpenBucket(name, region string, inv Invocation, log *slog.Logger) (Bucket, error) {
	for _, other := range []string{inv.Region, p.options.Region} {
		if region == "" {
			region = other
		}
	}
	return p.options.Open(name, region, inv.Credentials, log)
}

// DropStaleConnections is called at the beginning of each invocation. It drops connections that a freeze has probably killed.
// The wall clock counts: the monotonic one may stand still.
func (p *Processor) DropStaleConnections() {
	const pause = 5 * time.Second
	now := time.Now().UnixNano()
	if last := p.lastUsed.Swap(now); p.options.OnResume != nil && last != 0 && time.Duration(now-last) > pause {
		p.options.OnResume()
	}
}
