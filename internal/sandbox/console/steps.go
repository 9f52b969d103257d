package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/management"
)

// The steps of an image, in the order in which the function takes them.
const (
	stepUpload    = "upload"
	stepClaim     = "claim"
	stepLook      = "look"
	stepRecognize = "recognize"
	stepWrite     = "write"
	stepRelease   = "release"
)

// Step is one request on an image's way.
type Step struct {
	Key        string    `json:"key"`
	Step       string    `json:"step"`
	Time       time.Time `json:"time"`
	Service    string    `json:"service"`
	Operation  string    `json:"operation"`
	Caller     string    `json:"caller,omitempty"`
	Status     int       `json:"status"`
	DurationMs float64   `json:"durationMs"`
	// Outcome is what the gateway's ledger says of a call, with its refusal if there is one.
	Outcome string `json:"outcome,omitempty"`
	Charged bool   `json:"charged,omitempty"`
}

// keyOfCall is the image that a call was about, empty if its picture came without a URL.
func (s *Server) keyOfCall(call gateway.Call) string {
	path, err := url.PathUnescape(call.ImagePath)
	if err != nil {
		return ""
	}
	return s.keyOf(path)
}

// keyOf is the key in a path of the bucket, empty if it is about something else.
func (s *Server) keyOf(path string) string {
	key, _ := strings.CutPrefix(path, "/"+s.config.Bucket+"/")
	if key == path {
		return ""
	}
	return key
}

// step tells which step of which image a request to OSS was.
func (s *Server) step(r management.Request) (Step, bool) {
	if r.Service != management.ServiceOSS {
		return Step{}, false
	}
	step := Step{Time: r.Time, Service: r.Service, Operation: r.Operation, Caller: r.Caller, Status: r.Status, DurationMs: r.DurationMs}
	key := s.keyOf(r.Path)
	image, isClaim := strings.CutSuffix(key, s.config.ClaimSuffix)
	isResult := false
	if !isClaim {
		image, isResult = strings.CutSuffix(key, s.config.ResultSuffix)
	}
	step.Key = image
	switch {
	case r.Caller == management.CallerClient:
		step.Step = stepUpload
		if isClaim || isResult || r.Operation != "PUT" && r.Operation != "POST" {
			return Step{}, false // somebody looks, as this console does
		}
	case r.Caller == management.CallerPresigned:
		step.Step = stepRecognize
	case isClaim && r.Operation == "DELETE":
		step.Step = stepRelease
	case isClaim:
		step.Step = stepClaim
	case isResult && r.Operation == "PUT":
		step.Step = stepWrite
	case r.Operation == "HEAD" || isResult:
		step.Step = stepLook
	default:
		step.Step = stepRecognize // the function reads the picture itself
	}
	return step, s.config.IsImage(image)
}

// of makes a step of what happened.
func (s *Server) of(notice management.Notice) (Step, bool) {
	if notice.Request != nil {
		return s.step(*notice.Request)
	}
	call := notice.Call
	outcome := call.Outcome
	if call.Refusal != "" {
		outcome += ": " + call.Refusal
	}
	key := s.keyOfCall(*call)
	return Step{Key: key, Step: stepRecognize, Time: call.Time, Service: management.ServiceGateway, Operation: "POST",
		DurationMs: float64(time.Since(call.Time).Microseconds()) / 1000, Outcome: outcome, Charged: call.Charged}, s.config.IsImage(key)
}

// history is what is still recorded of an image, oldest first. A call that sent the picture itself names no key; it is
// known by the picture's SHA-256 digest.
func (s *Server) history(key string, digest [sha256.Size]byte) []Step {
	steps := []Step{}
	for _, request := range s.config.Activity.Requests() {
		if step, ok := s.step(request); ok && step.Key == key {
			steps = append(steps, step)
		}
	}
	for _, call := range s.config.Ledger.Calls() {
		if s.keyOfCall(call) != key && (call.Source != "data" || call.ImageSHA256 != hex.EncodeToString(digest[:])) {
			continue
		}
		step, _ := s.of(management.Notice{Call: &call})
		step.Key, step.DurationMs = key, 0 // the ledger does not say how long it took
		steps = append(steps, step)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.Time.Compare(b.Time) })
	return steps
}

// keepAlive is how often a silent stream says that it still is there, so that a browser notices a dead one.
const keepAlive = 15 * time.Second

// stream sends the steps of all images as they happen, as server-sent events.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	notices, cancel := s.config.Activity.Subscribe()
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	fmt.Fprint(w, ": connected\n\n")
	for {
		if control.Flush() != nil {
			return
		}
		select {
		case notice := <-notices:
			step, ok := s.of(notice)
			if !ok {
				continue
			}
			data, err := json.Marshal(step)
			if err != nil {
				s.config.Log.Error("a step cannot be told", "reason", err)
				return
			}
			fmt.Fprintf(w, "event: step\ndata: %s\n\n", data)
		case <-ticker.C:
			fmt.Fprint(w, ": alive\n\n")
		case <-r.Context().Done():
			return
		}
	}
}
