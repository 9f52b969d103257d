package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/backfill"
	"fc-idcard-ocr/internal/message"
)

// finishReuse writes the documents of images that get the answer of another one. A run that ended early waits for none.
func (s *settings) finishReuse(ctx context.Context, c config.Config, j *backfill.Job, r backfill.Report, wait time.Duration) (*backfill.Reused, error) {
	if j.Plan == nil || j.DryRun || ctx.Err() != nil {
		return nil, nil
	}
	store, err := s.openWritable(ctx, c, "", bucket.Config{PutTags: c.Tags(false), AppendTags: c.Tags(true), Encryption: c.ResultEncryption})
	if err != nil {
		return nil, err
	}
	if r.Stopped != "" {
		wait = 0
	}
	if n := j.Plan.Others(); n > 0 && wait > 0 {
		s.note("Writing %d documents of images with equal bytes, as soon as those of the submitted ones are there; at most %s.", n, wait)
	}
	reused, err := j.Plan.Finish(ctx, j, store, wait)
	if err != nil {
		return &reused, writableError(err)
	}
	return &reused, nil
}

// describeReuse says what became of the images that were to get the answer of another one.
func describeReuse(b *strings.Builder, r *backfill.Reused) {
	if r == nil {
		return
	}
	message.Fprintf(b, "\n%d documents written from those of images with equal bytes, without a call", r.Written)
	for _, left := range []struct {
		n    int64
		text message.Key
	}{
		{r.Waiting, "%d images wait for the document of one with equal bytes; the same command goes on"},
		{r.NoAnswer, "%d images got none, as the one with equal bytes failed; the next run submits one of them"},
		{r.Changed, "%d images were replaced or removed meanwhile, or the one with equal bytes was"},
		{r.Different, "%d images have the same ETag and other bytes; without --reuse they are submitted"},
		{r.Present, "%d images had a document by then"},
	} {
		if left.n > 0 {
			fmt.Fprintf(b, "\n"+message.Text(left.text), left.n)
		}
	}
}
