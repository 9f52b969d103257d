package handler

import (
	"context"
	"log/slog"
	"time"

	"fc-idcard-ocr/internal/idnumber"
)

// logger is the invocation's and image's logger: IDs in the key are masked, as people name files after them.
func (h *Handler) logger(inv Invocation, image Image) *slog.Logger {
	log := h.Log.With("requestId", inv.RequestID)
	if inv.RetryCount > 0 {
		log = log.With("retryCount", inv.RetryCount)
	}
	if image.Key == "" {
		return log
	}
	return log.With("bucket", image.Bucket, "key", idnumber.MaskDigits(image.Key))
}

// report writes the one line of the log that tells how the image ended.
func (j *job) report(o outcome) {
	attributes := []any{"status", string(o.status)}
	if o.err != nil {
		attributes = append(attributes, "code", string(o.err.Code), "retryable", o.err.Retryable, "reason", o.err.Message)
	}
	if d := o.document; d != nil {
		attributes = append(attributes, "charged", d.OCR.Charged, "attempts", d.OCR.Attempts, "possibleExtraCharges", d.OCR.PossibleExtraCharges, "source", string(d.OCR.ImageSource))
	}
	if j.releaseErr != nil {
		attributes = append(attributes, "claimLeft", j.releaseErr.Error())
	}
	attributes = append(attributes, j.steps.attributes()...)
	level := slog.LevelInfo
	if o.err != nil {
		level = slog.LevelWarn
	}
	j.log.Log(context.Background(), level, "image done", attributes...)
}

// steps measures the parts of an image's way.
type steps struct {
	started time.Time
	names   []string
	lengths []time.Duration
}

func (s *steps) time(name string) (done func()) {
	start := time.Now()
	if s.started.IsZero() {
		s.started = start
	}
	return func() { s.names, s.lengths = append(s.names, name), append(s.lengths, time.Since(start)) }
}

func (s *steps) attributes() []any {
	var list []any
	for i, name := range s.names {
		list = append(list, name+"Ms", s.lengths[i].Milliseconds())
	}
	if !s.started.IsZero() {
		list = append(list, "totalMs", time.Since(s.started).Milliseconds())
	}
	return list
}
