package processor

import (
	"context"
	"log/slog"
	"time"

	"fc-idcard-ocr/internal/result"
)

// Logger returns the logger of an invocation and image. ID numbers in the key are masked, as people name files after them.
func (p *Processor) Logger(inv Invocation, image result.Image) *slog.Logger {
	log := p.log.With("requestId", inv.RequestID)
	if inv.RetryCount > 0 {
		log = log.With("retryCount", inv.RetryCount)
	}
	if image.Key == "" {
		return log
	}
	return log.With("bucket", image.Bucket, "key", result.MaskKey(image.Key))
}

// logOutcome writes the log line with the outcome of the image.
func (t *imageTask) logOutcome(o Outcome) {
	attributes := []any{"status", string(o.Status)}
	if o.Err != nil {
		attributes = append(attributes, "code", string(o.Err.Code), "retryable", o.Err.Retryable, "reason", o.Err.Message)
	}
	ocr := t.ocr
	if o.Document != nil {
		ocr = o.Document.OCR
	}
	if ocr.Attempts > 0 || o.Document != nil {
		attributes = append(attributes, "charged", ocr.Charged, "attempts", ocr.Attempts, "possibleExtraCharges", ocr.PossibleExtraCharges, "source", string(ocr.ImageSource))
	}
	if t.releaseErr != nil {
		attributes = append(attributes, "claimLeft", t.releaseErr.Error())
	}
	attributes = append(attributes, t.timings.attributes()...)
	level := slog.LevelInfo
	if o.Err != nil {
		level = slog.LevelWarn
	}
	t.log.Log(context.Background(), level, "image done", attributes...)
}

// timings measures the steps of an image.
type timings struct {
	started   time.Time
	names     []string
	durations []time.Duration
}

func (s *timings) start(name string) (stop func()) {
	start := time.Now()
	if s.started.IsZero() {
		s.started = start
	}
	return func() { s.names, s.durations = append(s.names, name), append(s.durations, time.Since(start)) }
}

func (s *timings) attributes() []any {
	var list []any
	for i, name := range s.names {
		list = append(list, name+"Ms", s.durations[i].Milliseconds())
	}
	if !s.started.IsZero() {
		list = append(list, "totalMs", time.Since(s.started).Milliseconds())
	}
	return list
}
