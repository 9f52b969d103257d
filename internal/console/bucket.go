package console

import (
	"context"
	"time"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/result"
)

// Bucket is the bucket as the console needs it; *ossclient.Bucket is the real one, and the sandbox's too.
type Bucket interface {
	inventory.Bucket // List and Read
	Name() string
	// Process reads a picture as OSS makes it by an instruction of x-oss-process.
	Process(ctx context.Context, key, process string, limit int64) ([]byte, error)
	// Put writes a review, and in a sandbox an image. Remove removes a document that is to be made anew.
	Put(ctx context.Context, key string, body []byte, contentType string) error
	Remove(ctx context.Context, key string) error
}

// Function hands events to the function; *fcclient.Client is the real one.
type Function interface {
	InvokeAsync(ctx context.Context, payload []byte) (requestID string, err error)
}

// Activity is what a sandbox knows beyond the bucket. For a real bucket there is none.
type Activity interface {
	// History returns what is still recorded of an image's requests. requestID is that of the provider's answer in its document, by
	// which a call is known that sent the picture itself; empty if there is none.
	History(key, requestID string) History
	// Subscribe hands over the steps of all images from now on, until cancel is called.
	Subscribe() (steps <-chan Step, cancel func())
	// GaveUp reports whether Function Compute gave the image's last event up.
	GaveUp(key string) bool
	// CallTimes are the durations of the OCR calls that are still recorded.
	CallTimes() []time.Duration
	// Force recognises an image again, whatever its document says. It does not wait for the end.
	Force(ctx context.Context, key string) error
}

// History is what is recorded of one image.
type History struct {
	Steps []Step `json:"steps"` // oldest first
	// Since is from when on the function's requests are recorded without a gap.
	Since time.Time `json:"since"`
}

// The steps of an image, in the order in which the function takes them.
const (
	StepUpload    = "upload"
	StepClaim     = "claim"
	StepInspect   = "look"
	StepRecognize = "recognize"
	StepWrite     = "write"
	StepRelease   = "release"
	StepRemove    = "remove" // somebody removed the image or what is beside it
)

// Step is one request about an image. Two records with the same ID are of the same request, the later one knows more.
type Step struct {
	ID         string    `json:"id"`
	Image      string    `json:"image"` // the image's ID on the page; the source of steps leaves it empty
	Key        string    `json:"-"`
	Step       string    `json:"step"`
	Time       time.Time `json:"time"`
	Service    string    `json:"service"`
	Operation  string    `json:"operation"`
	Caller     string    `json:"caller,omitempty"`
	Status     int       `json:"status"`
	DurationMs float64   `json:"durationMs"`
	// Open means that a call has no response yet. Outcome is what the gateway says of it, with its refusal if there is one.
	Open    bool   `json:"open,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Charged bool   `json:"charged,omitempty"`
}

// changes reports whether a listing can look different after the step.
func (s Step) changes() bool {
	switch s.Step {
	case StepUpload, StepClaim, StepWrite, StepRelease, StepRemove:
		return true
	}
	return false
}

// cardOf is the document's card, empty if it has none.
func cardOf(d *result.Document) result.Card {
	if d == nil || d.Card == nil {
		return result.Card{}
	}
	return *d.Card
}
