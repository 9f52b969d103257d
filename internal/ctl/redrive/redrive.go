// Package redrive submits the events of a failure queue to the function again, and takes a message out of the queue only once its event was
// accepted. It never runs an event itself, and never puts an event into an error.
package redrive

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Invoker hands an event to the function, which recognises later.
type Invoker interface {
	InvokeAsync(ctx context.Context, payload []byte) (requestID string, err error)
}

// Job is one run.
type Job struct {
	Queue    *Queue
	Invoker  Invoker
	Function string // whose events are submitted; messages of others stay
	// Limiter is asked before each message; *rate.Limiter is one.
	Limiter interface{ Wait(context.Context) error }
	Limit   int64 // at most so many messages; 0 means all that were waiting at the start
	DryRun  bool
}

// Report is what became of the messages.
type Report struct {
	Waiting   int64 `json:"waiting"`   // at the start
	Submitted int64 `json:"submitted"` // accepted, and out of the queue; in a dry run: how many of the messages that were read would be submitted
	Twice     int64 `json:"twice"`     // accepted, but still in the queue: deleting failed
	Foreign   int64 `json:"foreign"`   // of another function, or of no event: they stay
	Looked    int64 `json:"looked"`    // of a dry run: how many messages were read, 16 at most
}

// Run submits the messages that were waiting when it began: what fails again and comes back is left for the next run. An event
// that is submitted twice is paid once, as the function's claims see to that.
func (j *Job) Run(ctx context.Context) (report Report, err error) {
	if report.Waiting, err = j.Queue.Waiting(ctx); err != nil {
		return report, err
	}
	if j.DryRun {
		messages, err := j.Queue.Peek(ctx)
		for _, m := range messages {
			report.Looked++
			if _, ok := j.event(m); ok {
				report.Submitted++
			} else {
				report.Foreign++
			}
		}
		return report, err
	}
	left := report.Waiting
	if j.Limit > 0 {
		left = min(left, j.Limit)
	}
	began := time.Now()
	for ; left > 0; left-- {
		if err := j.Limiter.Wait(ctx); err != nil {
			return report, err
		}
		m, err := j.Queue.receive(ctx)
		if errors.Is(err, errEmpty) {
			return report, nil
		}
		if err != nil {
			return report, err
		}
		if m.at().After(began) { // came back, or failed just now
			return report, j.Queue.release(ctx, m.Receipt)
		}
		if err := j.redrive(ctx, m, &report); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (j *Job) redrive(ctx context.Context, m Message, report *Report) error {
	event, ok := j.event(m)
	if !ok {
		report.Foreign++ // it stays hidden until its visibility time is over, so that this run meets it once
		return nil
	}
	if _, err := j.Invoker.InvokeAsync(ctx, event); err != nil {
		// Whoever comes next shall find it at once.
		return errors.Join(err, j.Queue.release(context.WithoutCancel(ctx), m.Receipt))
	}
	// The event is on its way: the message goes even if the run is being stopped.
	if err := j.Queue.remove(context.WithoutCancel(ctx), m.Receipt); err != nil {
		report.Twice++
		return err
	}
	report.Submitted++
	return nil
}

// event takes the event out of a destination's message: requestPayload is a text or an object; the message is JSON, perhaps in base64.
// (alibabacloud.com/help/en/functioncompute/fc/user-guide/result-callback)
func (j *Job) event(m Message) (event []byte, ok bool) {
	body := []byte(strings.TrimSpace(m.Body))
	if len(body) > 0 && body[0] != '{' {
		decoded, err := base64.StdEncoding.DecodeString(string(body))
		if err != nil {
			return nil, false
		}
		body = decoded
	}
	var report struct {
		RequestContext struct {
			FunctionARN string `json:"functionArn"`
		} `json:"requestContext"`
		RequestPayload json.RawMessage `json:"requestPayload"`
	}
	if json.Unmarshal(body, &report) != nil {
		return nil, false
	}
	_, name, found := strings.Cut(report.RequestContext.FunctionARN, "functions/")
	if name, _, _ = strings.Cut(name, "/"); found && name != j.Function {
		return nil, false
	}
	event = report.RequestPayload
	var text string
	if json.Unmarshal(event, &text) == nil {
		event = []byte(text)
	}
	return event, len(event) > 1 && (event[0] == '{' || event[0] == '[') && json.Valid(event)
}
