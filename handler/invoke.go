package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"fc-idcard-ocr/internal/idnumber"

	"golang.org/x/sync/errgroup"
)

const (
	// sideBySide is how many images of one event are worked on at once.
	sideBySide = 8
	// reported is how many images the answer to the platform lists, and reportedBytes how long the list may be: a
	// destination takes 64 KB, its own words and the event included.
	reported      = 100
	reportedBytes = 32 << 10
	// assumedTime is the length of an invocation whose deadline the platform did not tell.
	assumedTime = time.Minute
)

// Report is the answer to the platform, which may pass it on to a destination: keys and statuses, never a card.
type Report struct {
	Images  []ImageReport `json:"images"`
	Omitted int           `json:"omitted,omitempty"` // images not listed, as the list has at most 100 and 32 KB
	Skipped int           `json:"skipped,omitempty"` // records that name no new image
}

// ImageReport tells how one image ended: a document's status, "unchanged" (settled before) or "missing" (gone).
type ImageReport struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Status Status `json:"status"`
	Code   Code   `json:"code,omitempty"`
}

// Invoke handles one delivery of an event. It fails, always with an *Error, only if the platform should deliver the event
// again or if it is no event at all. A failure that a repetition cannot mend is told by the document beside the image, and
// is a success here.
func (h *Handler) Invoke(ctx context.Context, inv Invocation, payload []byte) ([]byte, error) {
	h.awake()
	if inv.Deadline.IsZero() {
		inv.Deadline = time.Now().Add(assumedTime)
	}
	e, bad := h.decode(payload)
	if bad != nil {
		h.logger(inv, Image{}).Warn("event refused", "code", string(bad.Code), "reason", bad.Message)
		return nil, bad
	}
	if e.http != nil {
		return h.invokeHTTP(ctx, inv, e.http), nil
	}
	outcomes := h.images(ctx, inv, e.images)
	if err := h.sum(e, outcomes); err != nil {
		return nil, err
	}
	return plainJSON(e.report(outcomes)), nil
}

// report lists as many images as a destination takes.
func (e event) report(outcomes []outcome) Report {
	report := Report{Images: make([]ImageReport, 0, min(len(outcomes), reported)), Skipped: e.skipped}
	length := 0
	for i, o := range outcomes {
		line := ImageReport{Bucket: e.images[i].Bucket, Key: e.images[i].Key, Status: o.status}
		if o.err != nil {
			line.Code = o.err.Code
		}
		if length += len(plainJSON(line)); i >= reported || length > reportedBytes {
			report.Omitted = len(outcomes) - i
			break
		}
		report.Images = append(report.Images, line)
	}
	return report
}

// plainJSON encodes what always can be. Text stays readable: < > & are not escaped.
func plainJSON(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// images works on all images of an event, some at a time. What one does never stops another, and none is left behind: a
// frozen instance would finish it at some later time.
func (h *Handler) images(ctx context.Context, inv Invocation, images []namedImage) []outcome {
	outcomes := make([]outcome, len(images))
	if len(images) == 1 { // nearly always: no goroutine, whose small stack would have to grow
		outcomes[0] = h.object(ctx, inv, images[0], false)
		return outcomes
	}
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for i, image := range images {
		group.Go(func() error {
			outcomes[i] = h.object(ctx, inv, image, false)
			outcomes[i].document = nil // an event may name ten thousand images
			return nil
		})
	}
	group.Wait()
	return outcomes
}

// object recognises one object. A caller that goes away does not stop it: the call may be paid already.
func (h *Handler) object(ctx context.Context, inv Invocation, image namedImage, force bool) (o outcome) {
	log := h.logger(inv, image.Image)
	defer survive(log, &o)
	if time.Until(inv.Deadline) < writeReserve {
		log.Warn("image done", "status", string(Failed), "code", string(Timeout), "retryable", true)
		return outcome{status: Failed, err: failure(Timeout, true, "no time left in this invocation")}
	}
	store, err := h.Open(image.Bucket, h.region(inv, image.region), inv.Credentials, log)
	if err != nil {
		log.Warn("image done", "status", string(Failed), "code", string(AccessDenied), "retryable", true, "reason", err.Error())
		return outcome{status: Failed, err: failure(AccessDenied, true, "%v", err)}
	}
	j := &job{h: h, inv: inv, store: store, log: log, image: image.Image, force: force}
	return j.run(context.WithoutCancel(ctx))
}

// sum returns the error for the platform, if there is to be one: retryable images, or records that were not understood.
func (h *Handler) sum(e event, outcomes []outcome) error {
	var first *Error
	var firstKey string
	again := 0
	for i, o := range outcomes {
		if !o.retry() {
			continue
		}
		if again++; first == nil {
			first, firstKey = o.err, e.images[i].Bucket+"/"+idnumber.MaskDigits(e.images[i].Key)
		}
	}
	switch {
	case first != nil:
		return failure(first.Code, true, "%d of %d images can succeed later; first %s: %s", again, len(outcomes), firstKey, first.Message)
	case e.problem != nil:
		return e.problem
	}
	return nil
}
