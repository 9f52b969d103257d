package handler

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

// The claim says who works on an image. It is an appendable object of one JSON line per step; the last line counts.
// OSS appends under a condition on the length, so of all who want to write the same line one succeeds.
//
//	(nothing) --create--> held --release--> (nothing)
//	held --renew--> held                        the next call's nonce is written before the call
//	held --keep--> resting                      the paid document could not be written, or a call's fate is open
//	held, lease over --take over--> held        by anybody
//	resting --take over--> held                 by anybody
//	held --take over--> held                    by a later attempt of the same request: the earlier one is dead
//
// Whoever takes over inherits nonce, open fate and paid document.

const (
	maxClaimBytes = 4 << 20
	// nonceWindow is how long the gateway remembers a nonce (15 minutes), less a minute for clocks and the way.
	nonceWindow = 14 * time.Minute
)

// record is one line of the claim.
type record struct {
	Owner      string    `json:"owner"` // random, one per attempt at the image
	RequestID  string    `json:"requestId"`
	RetryCount int       `json:"retryCount"`
	LeaseEnd   time.Time `json:"leaseEnd"` // the owner is dead after this: its invocation's deadline
	ETag       string    `json:"etag"`     // of the image version that Nonce and Document are about
	Nonce      string    `json:"nonce"`    // of the call that is next or under way
	IssuedAt   time.Time `json:"issuedAt"` // of the nonce
	// ExtraCharges counts earlier calls for this version that may have been charged in vain.
	ExtraCharges int `json:"extraCharges,omitempty"`
	// Document is a paid result that could not be written beside the image.
	Document *Document `json:"document,omitempty"`
}

func (r record) line() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b) // ends with a line feed
	encoder.SetEscapeHTML(false)
	encoder.Encode(r)
	return b.Bytes()
}

// lastRecord returns the line that counts. Anything but a record, such as somebody's own object of that name, is !ok.
func lastRecord(body []byte) (r record, ok bool) {
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	err := json.Unmarshal(lines[len(lines)-1], &r)
	return r, err == nil && r.Owner != "" && !r.LeaseEnd.IsZero()
}

// verdict is what a delivery does about a claim it finds.
type verdict int

const (
	wait     verdict = iota // somebody is working
	mine                    // the answer to my own append was lost
	takeOver                // its owner is dead or has left it
)

// judge decides about a found claim. now is compared with the lease on this machine's clock: instances keep time by NTP,
// and owners stop before their lease ends.
func judge(found, own record, now time.Time) verdict {
	switch {
	case found.Owner == own.Owner:
		return mine
	case !now.Before(found.LeaseEnd):
		return takeOver
	case found.RequestID != "" && found.RequestID == own.RequestID && found.RetryCount < own.RetryCount:
		return takeOver
	default:
		return wait
	}
}

// claim is a claim this process holds.
type claim struct {
	store     Store
	key       string // of the claim object
	image     string // bucket and key of the image
	length    int64
	last      record
	inherited bool // taken over: last's nonce may have been sent by its former owner
	nonces    int
}

// resting is the lease of a claim that its owner has left behind.
var resting = time.Unix(0, 0).UTC()

var (
	errBusy         = errors.New("another invocation is working on this image")
	errForeignClaim = errors.New("the object in the claim's place is not one of this program")
)

// acquire creates the claim or takes it over. errBusy means that somebody else works on the image.
func acquire(ctx context.Context, store Store, claimKey, image, etag string, inv Invocation) (*claim, error) {
	c := &claim{store: store, key: claimKey, image: image}
	own := record{Owner: randomToken(), RequestID: inv.RequestID, RetryCount: inv.RetryCount, LeaseEnd: inv.Deadline.UTC(), ETag: etag}
	c.last = own
	own.Nonce, own.IssuedAt = c.nextNonce(etag), time.Now().UTC()
	for range 3 {
		length, err := store.Append(ctx, claimKey, 0, own.line())
		if err == nil {
			c.length, c.last = length, own
			return c, nil
		}
		if errors.Is(err, bucket.ErrInvalid) {
			if _, err := store.Stat(ctx, claimKey); err == nil { // there, and not appendable
				return nil, errForeignClaim
			}
		}
		if !errors.Is(err, bucket.ErrPosition) {
			return nil, err
		}
		body, err := store.Read(ctx, claimKey, "", maxClaimBytes)
		if errors.Is(err, bucket.ErrNotFound) {
			continue // released between the two requests
		}
		if errors.Is(err, bucket.ErrTooLarge) {
			return nil, errForeignClaim
		}
		if err != nil {
			return nil, err
		}
		found, ok := lastRecord(body)
		if !ok {
			return nil, errForeignClaim
		}
		switch judge(found, own, time.Now()) {
		case mine:
			c.length, c.last = int64(len(body)), own
			return c, nil
		case wait:
			return nil, errBusy
		}
		if err := c.succeed(ctx, found, own, int64(len(body))); err != nil {
			return nil, err
		}
		return c, nil
	}
	return nil, errBusy // created and released by others each time
}

// succeed takes a claim over by writing the next line at the length that was read, with what the former owner left.
func (c *claim) succeed(ctx context.Context, found, own record, length int64) error {
	heir := found
	heir.Owner, heir.RequestID, heir.RetryCount, heir.LeaseEnd = own.Owner, own.RequestID, own.RetryCount, own.LeaseEnd
	c.last, c.length, c.inherited = heir, length, true
	return c.append(ctx, heir)
}

// append writes the claim's next line. If somebody else's line is there instead, the claim is lost: errBusy. A lost
// answer to my own append is recognised by reading back.
func (c *claim) append(ctx context.Context, next record) error {
	line := next.line()
	length, err := c.store.Append(ctx, c.key, c.length, line)
	if errors.Is(err, bucket.ErrPosition) {
		body, readErr := c.store.Read(ctx, c.key, "", maxClaimBytes)
		if readErr != nil && !errors.Is(readErr, bucket.ErrNotFound) {
			return readErr
		}
		if int64(len(body)) < c.length || !bytes.Equal(body[c.length:], line) {
			return errBusy
		}
		length, err = int64(len(body)), nil
	}
	if err == nil {
		c.last, c.length = next, length
	}
	return err
}

// renew writes the nonce of the next call, for the image's version etag. It comes before the call, so that whoever takes
// over after a crash knows which nonce to ask about.
func (c *claim) renew(ctx context.Context, etag string, extraCharges int) error {
	next := c.last
	if next.ETag != etag {
		next.Document = nil
	}
	next.ETag, next.ExtraCharges = etag, extraCharges
	next.Nonce, next.IssuedAt = c.nextNonce(etag), time.Now().UTC()
	c.inherited = false
	return c.append(ctx, next)
}

// keep leaves the claim behind for the next delivery and ends the lease: with a paid document, or with what calls left open.
func (c *claim) keep(ctx context.Context, paid *Document, p *policy) error {
	next := c.last
	next.LeaseEnd, next.Document = resting, paid
	if p != nil {
		next.ExtraCharges = p.extra
		if !p.uncertain { // the nonce is spent and counted
			next.Nonce, next.IssuedAt = c.nextNonce(next.ETag), time.Now().UTC()
		}
	}
	return c.append(ctx, next)
}

// release removes the claim, if the lease still holds: after it, the claim may be somebody else's.
func (c *claim) release(ctx context.Context) error {
	if !time.Now().Before(c.last.LeaseEnd) {
		return errBusy
	}
	return c.store.Remove(ctx, c.key)
}

// remembered reports that the gateway would still recognise the nonce if it had accepted it before.
func (c *claim) remembered() bool { return time.Since(c.last.IssuedAt) < nonceWindow }

// nextNonce derives a nonce from the image's version and the claim's generation (this owner and its count), so that no
// two calls that should differ share one.
func (c *claim) nextNonce(etag string) string {
	c.nonces++
	return deriveNonce(c.image, etag, c.last.Owner, c.nonces)
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
