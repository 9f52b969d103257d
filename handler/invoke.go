package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"

	"golang.org/x/sync/errgroup"
)

const (
	// maxConcurrentImages is how many images of one event are worked on at once.
	maxConcurrentImages = 8
	// maxReportImages is how many images the answer to the platform lists, and maxReportBytes how long the list may be: a
	// destination takes 64 KB, its own words and the event included.
	maxReportImages = 100
	maxReportBytes  = 32 << 10
	// defaultTimeout is the length of an invocation without a deadline from the platform.
	defaultTimeout = time.Minute
	// maxTimeout is FC's longest time-out of a function, and maxClock how far two clocks may be apart.
	maxTimeout = 86400 * time.Second
	maxClock   = 15 * time.Minute
)

// Report is the answer to the platform, which may pass it on to a destination: keys and statuses, never a card.
type Report struct {
	Images  []ImageReport `json:"images"`
	Omitted int           `json:"omitted,omitempty"` // images not listed, as the list has at most 100 and 32 KB
	Skipped int           `json:"skipped,omitempty"` // records that name no new image
}

// ImageReport is the outcome of one image: the status of its document, "unchanged" (it was final already) or "missing" (it does
// not exist).
type ImageReport struct {
	Bucket string        `json:"bucket"`
	Key    string        `json:"key"`
	Status result.Status `json:"status"`
	Code   result.Code   `json:"code,omitempty"`
}

// Invoke handles one delivery of an event. It fails, always with an *Error, only if the platform should deliver the event
// again or if it is no event at all. A failure that a retry cannot help is in the document beside the image, and
// is a success here.
func (h *Handler) Invoke(ctx context.Context, inv processor.Invocation, payload []byte) ([]byte, error) {
	h.processor.DropStaleConnections()
	inv.Deadline = deadlineOr(inv.Deadline, defaultTimeout)
	e, bad := h.decode(payload)
	if bad != nil {
		h.processor.Logger(inv, result.Image{}).Warn("event refused", "code", string(bad.Code), "reason", bad.Message)
		return nil, bad
	}
	if e.http != nil {
		return h.invokeHTTP(ctx, inv, e.http), nil
	}
	outcomes := h.processImages(ctx, inv, e.images)
	if err := retryError(e, outcomes); err != nil {
		return nil, err
	}
	return marshalJSON(e.report(outcomes)), nil
}

// deadlineOr returns the deadline, or one after the given time if there is none, or one that no function has: a claim with a lease
// until then would not be believed, and its holder's call would be paid by others, too.
func deadlineOr(deadline time.Time, timeout time.Duration) time.Time {
	if deadline.IsZero() || time.Until(deadline) > maxTimeout+maxClock {
		return time.Now().Add(timeout)
	}
	return deadline
}

// report lists as many images as a destination takes.
func (e event) report(outcomes []processor.Outcome) Report {
	report := Report{Images: make([]ImageReport, 0, min(len(outcomes), maxReportImages)), Skipped: e.skipped}
	length := 0
	for i, o := range outcomes {
		line := ImageReport{Bucket: e.images[i].Image.Bucket, Key: e.images[i].Image.Key, Status: o.Status}
		if o.Err != nil {
			line.Code = o.Err.Code
		}
		if length += len(marshalJSON(line)); i >= maxReportImages || length > maxReportBytes {
			report.Omitted = len(outcomes) - i
			break
		}
		report.Images = append(report.Images, line)
	}
	return report
}

// marshalJSON encodes what always can be. Text stays readable: < > & are not escaped.
func marshalJSON(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// processImages works on all images of an event, some at a time. What one does never stops another, and none is left behind: a
// frozen instance would finish it at some later time.
func (h *Handler) processImages(ctx context.Context, inv processor.Invocation, images []processor.Request) []processor.Outcome {
	outcomes := make([]processor.Outcome, len(images))
	if len(images) == 1 { // nearly always: no goroutine, whose small stack would have to grow
		outcomes[0] = h.processor.Process(ctx, inv, images[0])
		return outcomes
	}
	var group errgroup.Group
	group.SetLimit(maxConcurrentImages)
	for i, image := range images {
		group.Go(func() error {
			outcomes[i] = h.processor.Process(ctx, inv, image)
			outcomes[i].Document = nil // an event may name ten thousand images
			return nil
		})
	}
	group.Wait()
	return outcomes
}

// retryError returns the error for the platform, if there is to be one: retryable images, or records that were not understood.
func retryError(e event, outcomes []processor.Outcome) error {
	var first *result.Error
	var firstKey string
	retryable := 0
	for i, o := range outcomes {
		if !o.Retry() {
			continue
		}
		if retryable++; first == nil {
			first, firstKey = o.Err, e.images[i].Image.Bucket+"/"+result.MaskKey(e.images[i].Image.Key)
		}
	}
	switch {
	case first != nil:
		return result.Errorf(first.Code, true, "%d of %d images can succeed later; first %s: %s", retryable, len(outcomes), firstKey, first.Message)
	case e.recordErr != nil:
		return e.recordErr
	}
	return nil
}
