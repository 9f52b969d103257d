package processor

import (
	"context"
	"time"

	"fc-idcard-ocr/internal/result"
)

// Picture is a picture that came with a request: bytes, or the same in standard base64.
type Picture struct {
	Image  []byte
	Base64 string
	Size   int64 // bytes, decoded
}

// ProcessPicture recognises a picture that came with a request. Nothing is stored, and nothing prevents paying twice for a
// picture that is sent twice.
func (p *Processor) ProcessPicture(ctx context.Context, inv Invocation, picture Picture) Outcome {
	t := &imageTask{p: p, inv: inv, log: p.Logger(inv, result.Image{})}
	d := &result.Document{Image: result.Image{Size: picture.Size}}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), inv.Deadline) // a caller that leaves does not undo the charge
	defer cancel()
	stop := t.timings.start("recognize")
	loop := p.newCallLoop(imageInput{image: picture.Image, base64: picture.Base64}, inv.Deadline, t.log)
	var e *result.Error
	if loop.spending, e = p.spending("", nil, inv); e != nil {
		d.Fail(e)
	} else if err := loop.run(ctx, d); err != nil {
		d.Fail(result.Errorf(result.Internal, false, "the picture could not be processed"))
	}
	stop()
	if d.Error != nil && d.Error.Retryable && d.OCR.PossibleExtraCharges > 0 { // nothing remembers the call: a repetition is a new one
		d.Error.Message += "; the call may have been charged"
	}
	d.Stamp(inv.RequestID, time.Now())
	o := Outcome{Document: d, Status: d.Status, Err: d.Error}
	t.logOutcome(o)
	return o
}
