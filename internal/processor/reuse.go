package processor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/result"
)

// hashImage reads the picture and returns its SHA-256, by which the index finds it. It is never MD5, which an ETag often is:
// whoever can make two pictures with one MD5 would get one person's card for another's picture. The bytes must be of the version
// that was inspected.
func (t *imageTask) hashImage(ctx context.Context, seen inspection) (string, error) {
	defer t.timings.start("hash")()
	image, object, err := t.store.Read(ctx, t.image.Key, bucket.ReadOptions{VersionID: seen.version.VersionID, Limit: t.p.options.MaxImageBytes, Buffer: t.p.buffers.get})
	defer func() { t.p.buffers.put(image) }()
	switch {
	case err != nil:
		return "", err
	case object.ETag != seen.version.ETag:
		return "", errReplacedUnpaid
	}
	sum := sha256.Sum256(image)
	return hex.EncodeToString(sum[:]), nil
}

// reuse returns the document for a picture that was paid before under another key, nil if there is none, or if that one was left with
// less than this function keeps: what was dropped would look like what was not read.
func (t *imageTask) reuse(ctx context.Context, sum string, call claim.Call) (*result.Document, error) {
	var entry result.IndexEntry
	body, _, err := t.store.Read(ctx, t.keys().Index(sum), bucket.ReadOptions{Limit: 64 << 10})
	switch {
	case isNotFound(err) || errors.Is(err, bucket.ErrTooLarge):
		return nil, nil
	case err != nil:
		return nil, err
	case json.Unmarshal(body, &entry) != nil || entry.Key == "" || entry.Key == t.image.Key:
		return nil, nil
	}
	body, _, err = t.store.Read(ctx, t.keys().Result(entry.Key), bucket.ReadOptions{Limit: result.MaxBytes})
	switch {
	case isNotFound(err) || errors.Is(err, bucket.ErrTooLarge):
		return nil, nil
	case err != nil:
		return nil, err
	}
	paid, err := result.Parse(body)
	if err != nil || paid.Status == result.Failed || paid.Image.ETag != entry.ETag {
		return nil, nil
	}
	var known []string
	if entry.Answer == paid.OCR.RequestID { // not of another answer, which came while OCR_REUSE was off
		known = entry.Kept
	}
	d := t.p.options.Retention.Reuse(paid, known, entry.Key, t.image)
	if d == nil {
		return nil, nil
	}
	d.OCR.PossibleExtraCharges = call.PossibleExtraCharges
	if call.Indeterminate { // what an earlier holder may have paid for this picture
		d.OCR.PossibleExtraCharges++
	}
	return d, nil
}

// remember makes a paid document findable by its picture. Without it the picture is paid again under its next key, so a
// failure is only logged.
func (t *imageTask) remember(ctx context.Context, sum string, d *result.Document) {
	if sum == "" || d.Status == result.Failed || d.OCR.ReusedFrom != "" {
		return
	}
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	entry := result.IndexEntry{Key: t.image.Key, ETag: t.image.ETag, Answer: d.OCR.RequestID, Kept: t.p.options.Retention.Kept()}
	body, err := json.Marshal(entry)
	if err == nil {
		err = t.store.Put(ctx, t.keys().Index(sum), body, bucket.PutOptions{ContentType: result.ContentType})
	}
	if err != nil {
		t.log.Warn("picture not indexed for OCR_REUSE", "reason", err.Error())
	}
}

// recognizeOnce is recognize for OCR_REUSE: a picture with equal bytes is paid once, whatever its keys.
func (t *imageTask) recognizeOnce(ctx context.Context, c *claim.Claim, seen inspection) (attempt, error) {
	latest := t.inv.Deadline.Add(-t.p.options.Timeout - writeReserve)
	if !t.p.options.Reuse || t.checkSize() != nil || !time.Now().Before(latest) {
		return t.recognize(ctx, c, seen)
	}
	read, cancel := context.WithDeadline(ctx, latest)
	defer cancel()
	call := c.Call(seen.version)
	sum, err := t.hashImage(read, seen)
	if err != nil {
		return attempt{call: call}, err
	}
	if !t.force {
		d, err := t.reuse(read, sum, call)
		if err != nil {
			e := StorageError(err) // a call that may not be needed is not made
			e.Retryable = true
			return attempt{document: t.failedResult(e), call: call}, nil
		}
		if d != nil {
			return attempt{document: d, call: call, pinned: true}, nil
		}
	}
	done, err := t.recognize(ctx, c, seen)
	done.sum = sum
	return done, err
}
