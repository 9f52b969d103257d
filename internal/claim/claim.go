// Package claim says who may work on an image. A claim is an appendable object beside the image; it knows nothing of OCR or
// of result documents but the bytes it keeps for the next holder.
package claim

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"
)

// A claim has one JSON line per step; the last line counts. OSS appends under a condition on the length, so of all who want
// to write the same line one succeeds.
//
//	(nothing) --create--> held --release--> (nothing)
//	held --record nonce--> held                 the next call's nonce is written before the call
//	held --save and release--> released         the paid result could not be written, or a call is indeterminate
//	held, lease over --take over--> held        by anybody
//	released --take over--> held                by anybody
//	held --take over--> held                    by a later attempt of the same request: the earlier one is dead
//
// The next holder gets nonce, indeterminate call and paid result of the previous one.

const (
	maxBytes = 4 << 20
	// nonceWindow is how long the gateway remembers a nonce (15 minutes), less a minute for clocks and the way.
	nonceWindow = 14 * time.Minute
)

// Store is a bucket as claims need it.
type Store interface {
	Head(ctx context.Context, key string) (bucket.Object, error)
	Read(ctx context.Context, key, process string, limit int64) ([]byte, error)
	Append(ctx context.Context, key string, position int64, data []byte) (length int64, err error)
	Delete(ctx context.Context, key string) error
}

// Record is one line of the claim.
type Record struct {
	Owner      string    `json:"owner"` // random, one per attempt at the image
	RequestID  string    `json:"requestId"`
	RetryCount int       `json:"retryCount"`
	LeaseEnd   time.Time `json:"leaseEnd"` // the owner is dead after this: its invocation's deadline
	ETag       string    `json:"etag"`     // of the image version that Nonce and Result are about
	Nonce      string    `json:"nonce"`    // of the call that is next or under way
	IssuedAt   time.Time `json:"issuedAt"` // of the nonce
	// PossibleExtraCharges counts earlier calls for this version that may have been charged in vain.
	PossibleExtraCharges int `json:"extraCharges,omitempty"`
	// Result is a paid result document that could not be written beside the image.
	Result json.RawMessage `json:"document,omitempty"`
}

func (r Record) line() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b) // ends with a line feed
	encoder.SetEscapeHTML(false)
	encoder.Encode(r)
	return b.Bytes()
}

// lastRecord returns the line that counts. Anything but a record, such as somebody's own object of that name, is !ok.
func lastRecord(body []byte) (r Record, ok bool) {
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	err := json.Unmarshal(lines[len(lines)-1], &r)
	return r, err == nil && r.Owner != "" && !r.LeaseEnd.IsZero() && (r.Result == nil || r.Result[0] == '{')
}

// ownership is what a delivery does about a claim it finds.
type ownership int

const (
	heldByOther ownership = iota // somebody is working
	heldBySelf                   // the response to my own append was lost
	free                         // its holder is dead or has released it
)

// checkOwner decides about a found claim. now is compared with the lease on this machine's clock: instances keep time by
// NTP, and holders stop before their lease ends.
func checkOwner(found, own Record, now time.Time) ownership {
	switch {
	case found.Owner == own.Owner:
		return heldBySelf
	case !now.Before(found.LeaseEnd):
		return free
	case found.RequestID != "" && found.RequestID == own.RequestID && found.RetryCount < own.RetryCount:
		return free
	default:
		return heldByOther
	}
}

// Claim is a claim this process holds.
type Claim struct {
	Last      Record // the line that counts
	TakenOver bool   // Last's nonce may have been sent by the previous holder

	store      Store
	key        string // of the claim object
	image      string // bucket and key of the image
	length     int64
	generation int
}

// releasedLease is the lease of a claim that its holder has released.
var releasedLease = time.Unix(0, 0).UTC()

// The errors of Acquire and of the methods of Claim, beside those of the store.
var (
	// ErrHeld: another invocation is working on the image.
	ErrHeld = errors.New("another invocation is working on this image")
	// ErrForeign: the object in the claim's place is not one of this program.
	ErrForeign = errors.New("the object in the claim's place is not one of this program")
)

// Holder is an invocation that wants a claim.
type Holder struct {
	RequestID  string
	RetryCount int       // of this request ID
	LeaseEnd   time.Time // the invocation's deadline
}

// Acquire creates the claim or takes it over. ErrHeld means that somebody else works on the image. image is its bucket and
// key, etag its version as far as it is known.
func Acquire(ctx context.Context, store Store, claimKey, image, etag string, h Holder) (*Claim, error) {
	c := &Claim{store: store, key: claimKey, image: image}
	own := Record{Owner: randomToken(), RequestID: h.RequestID, RetryCount: h.RetryCount, LeaseEnd: h.LeaseEnd.UTC(), ETag: etag}
	c.Last = own
	own.Nonce, own.IssuedAt = c.nextNonce(etag), time.Now().UTC()
	for range 3 {
		length, err := store.Append(ctx, claimKey, 0, own.line())
		if err == nil {
			c.length, c.Last = length, own
			return c, nil
		}
		if errors.Is(err, bucket.ErrInvalid) {
			if _, err := store.Head(ctx, claimKey); err == nil { // there, and not appendable
				return nil, ErrForeign
			}
		}
		if !errors.Is(err, bucket.ErrPositionMismatch) {
			return nil, err
		}
		body, err := store.Read(ctx, claimKey, "", maxBytes)
		if errors.Is(err, bucket.ErrNotFound) {
			continue // released between the two requests
		}
		if errors.Is(err, bucket.ErrTooLarge) {
			return nil, ErrForeign
		}
		if err != nil {
			return nil, err
		}
		found, ok := lastRecord(body)
		if !ok {
			return nil, ErrForeign
		}
		switch checkOwner(found, own, time.Now()) {
		case heldBySelf:
			c.length, c.Last = int64(len(body)), own
			return c, nil
		case heldByOther:
			return nil, ErrHeld
		}
		if err := c.takeOver(ctx, found, own, int64(len(body))); err != nil {
			return nil, err
		}
		return c, nil
	}
	return nil, ErrHeld // created and released by others each time
}

// takeOver writes the next line at the length that was read, with what the previous holder left.
func (c *Claim) takeOver(ctx context.Context, found, own Record, length int64) error {
	next := found
	next.Owner, next.RequestID, next.RetryCount, next.LeaseEnd = own.Owner, own.RequestID, own.RetryCount, own.LeaseEnd
	c.Last, c.length, c.TakenOver = next, length, true
	return c.append(ctx, next)
}

// append writes the claim's next line. If somebody else's line is there instead, the claim is lost: ErrHeld. A lost response
// to my own append is recognised by reading back.
func (c *Claim) append(ctx context.Context, next Record) error {
	line := next.line()
	length, err := c.store.Append(ctx, c.key, c.length, line)
	if errors.Is(err, bucket.ErrPositionMismatch) {
		body, readErr := c.store.Read(ctx, c.key, "", maxBytes)
		if readErr != nil && !errors.Is(readErr, bucket.ErrNotFound) {
			return readErr
		}
		if int64(len(body)) < c.length || !bytes.Equal(body[c.length:], line) {
			return ErrHeld
		}
		length, err = int64(len(body)), nil
	}
	if err == nil {
		c.Last, c.length = next, length
	}
	return err
}

// RecordNonce writes the nonce of the next call, for the image's version etag. It comes before the call, so that whoever
// takes over after a crash knows which nonce to ask about.
func (c *Claim) RecordNonce(ctx context.Context, etag string, possibleExtraCharges int) error {
	next := c.Last
	if next.ETag != etag {
		next.Result = nil
	}
	next.ETag, next.PossibleExtraCharges = etag, possibleExtraCharges
	next.Nonce, next.IssuedAt = c.nextNonce(etag), time.Now().UTC()
	c.TakenOver = false
	return c.append(ctx, next)
}

// SaveResult keeps a paid result for the next delivery and ends the lease.
func (c *Claim) SaveResult(ctx context.Context, result json.RawMessage) error {
	next := c.Last
	next.LeaseEnd, next.Result = releasedLease, result
	return c.append(ctx, next)
}

// SaveCalls keeps what calls left open for the next delivery and ends the lease. indeterminate says that the last nonce may
// have been accepted.
func (c *Claim) SaveCalls(ctx context.Context, possibleExtraCharges int, indeterminate bool) error {
	next := c.Last
	next.LeaseEnd, next.Result, next.PossibleExtraCharges = releasedLease, nil, possibleExtraCharges
	if !indeterminate { // the nonce is consumed and counted
		next.Nonce, next.IssuedAt = c.nextNonce(next.ETag), time.Now().UTC()
	}
	return c.append(ctx, next)
}

// Release removes the claim, if the lease still holds: after it, the claim may be somebody else's.
func (c *Claim) Release(ctx context.Context) error {
	if !time.Now().Before(c.Last.LeaseEnd) {
		return ErrHeld
	}
	return c.store.Delete(ctx, c.key)
}

// NonceValid reports that the gateway would still recognise the nonce if it had accepted it before.
func (c *Claim) NonceValid() bool { return time.Since(c.Last.IssuedAt) < nonceWindow }

// nextNonce derives a nonce from the image's version and the claim's generation (this owner and its count), so that no
// two calls that should differ share one.
func (c *Claim) nextNonce(etag string) string {
	c.generation++
	return deriveNonce(c.image, etag, c.Last.Owner, c.generation)
}

func deriveNonce(image, etag, owner string, n int) string {
	seed, _ := json.Marshal([]any{"fc-idcard-ocr nonce 1", image, etag, owner, n}) // JSON keeps the parts apart
	sum := sha256.Sum256(seed)
	return ocrclient.FormatNonce([16]byte(sum[:16]))
}

func randomToken() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
