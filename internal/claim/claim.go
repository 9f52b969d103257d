// Package claim decides which invocation may work on an image. A claim is an appendable object beside the image. The package
// knows nothing of OCR or result documents; it only stores bytes for the next holder.
//
// An append succeeds only at the current length of the object, so of several concurrent appends one succeeds. This is the
// lock. The lines form a chain and are authenticated, so that a late line, or a line of another author, has no effect.
// The nonce of a call is derived from the image's version and the claim's generation, and not from the holder: if two
// invocations hold the claim by mistake, they send the same nonce, and the API gateway accepts it once. It is the fencing token.
//
//	(nothing) --create--> held --release--> (nothing)
//	held --next generation--> held              a new nonce is recorded before it is sent
//	held --save and release--> released         the document is not final: the state for the next holder
//	released, or lease over --take over--> held by anybody
//	held --take over--> held                    by a later attempt of the same request: the earlier one has ended
package claim

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"
)

const (
	maxBytes = 4 << 20
	// repeatBytes is the size of a claim up to which each line repeats the saved result, for readers of an earlier release. The lines
	// after it refer to the last one that does.
	repeatBytes = 1 << 20
	// nonceWindow is how long the gateway remembers a nonce, less a minute for clocks and the way.
	nonceWindow = nonceMemory - time.Minute
	nonceMemory = 15 * time.Minute
	// releaseMargin is the part of the lease that must be left for a DELETE that is sent again: the time that OSS has for
	// one request, twice.
	releaseMargin = 10 * time.Second
	// secondCall is the least generation of the call after a lost answer. Those before it are for what follows answers that cost nothing
	// and refusals: an earlier holder, whose document and claim are gone, may have used them, and lost no answer.
	secondCall = 500
	// appendTries bounds appends that meet somebody else's lines.
	appendTries = 3
)

// Store is a bucket as claims need it.
type Store interface {
	Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error)
	Append(ctx context.Context, key string, position int64, data []byte) (bucket.Appended, error)
	Delete(ctx context.Context, key string) error
}

// The errors of Acquire and of the methods of Claim, beside those of the store.
var (
	// ErrHeld: another invocation is working on the image.
	ErrHeld = errors.New("another invocation is working on this image")
	// ErrForeign: the object in the place of the claim is not one of this program, and is not changed.
	ErrForeign = errors.New("the object in the claim's place is not one of this program")
	// ErrTooLarge: the object in the place of the claim is too large to be read. It may be a claim, and hold a paid result.
	ErrTooLarge = errors.New("the object in the claim's place is larger than a claim becomes")
)

// Object names a claim object, and who authenticates its lines.
type Object struct {
	Store Store
	Key   string // of the claim object
	Image string // bucket and key of the image
	Auth  Key
}

// Holder is an invocation that wants a claim.
type Holder struct {
	RequestID  string
	RetryCount int       // of this request ID
	LeaseEnd   time.Time // the invocation's deadline
}

// Claim is a claim this process holds.
type Claim struct {
	object Object
	last   line
	extent // of the object as far as it is known
	// Replaced says that an object that could not be authenticated was in the claim's place.
	Replaced bool
	// HoldsResults says that results are among the object's lines, whoever wrote them. The lines after them leave them there.
	HoldsResults bool

	forgetting bool
}

// Acquire creates the claim or takes it over. ErrHeld means that somebody else works on the image.
func Acquire(ctx context.Context, o Object, h Holder) (*Claim, error) {
	c := &Claim{object: o}
	now := time.Now().UTC()
	h.RetryCount, h.LeaseEnd = min(h.RetryCount, maxCount), minTime(h.LeaseEnd, now.Add(maxLease-maxClock)) // a line with more is not believed
	own := line{Incarnation: randomToken(), Owner: randomToken(), RequestID: h.RequestID, RetryCount: h.RetryCount, LeaseEnd: h.LeaseEnd,
		State: State{Since: now}}
	for range 3 {
		created := own
		err := c.create(ctx, &created)
		if err == nil {
			return c, nil
		}
		notAppendable := errors.Is(err, bucket.ErrNotAppendable)
		if !notAppendable && !errors.Is(err, bucket.ErrPositionMismatch) {
			return nil, err
		}
		found, err := c.read(ctx)
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			continue // released between the two requests
		case errors.Is(err, bucket.ErrTooLarge):
			return nil, ErrTooLarge
		case err != nil:
			return nil, err
		case found.last == nil && !found.ours:
			return nil, ErrForeign
		case notAppendable: // a tool copied or wrote the claim: such an object does not accept appends
			if last := found.last; last != nil {
				if last.holds(own, time.Now()) {
					return nil, ErrHeld
				}
				own.State = last.inherit(time.Now())
			}
			if err := o.Store.Delete(ctx, o.Key); err != nil {
				return nil, err
			}
			c.Replaced = true
			continue
		}
		return c, c.take(ctx, found, own)
	}
	return nil, ErrHeld // created and released by others each time
}

// create writes the first line of a claim that is not there. If OSS's checksum is not that of the line, the object has to be read.
func (c *Claim) create(ctx context.Context, own *line) error {
	own.ResultAt = 0 // a line of the claim that was there before
	data := c.object.Auth.encode(own, c.object.Image)
	done, err := c.object.Store.Append(ctx, c.object.Key, 0, data)
	if err != nil {
		return err
	}
	c.last, c.extent = *own, extentOf(data)
	if done.HasCRC && done.CRC64 != c.crc {
		return bucket.ErrPositionMismatch
	}
	return nil
}

// take takes over the claim that was found, if it was released or its holder has stopped.
func (c *Claim) take(ctx context.Context, found content, own line) error {
	c.extent = found.extent
	now := time.Now()
	switch last := found.last; {
	case last == nil: // no line is authentic; the first append begins the chain
		c.Replaced = true
		return c.append(ctx, own)
	case last.Owner == own.Owner: // the response to the append was lost
		c.last = *last
		return nil
	case last.holds(own, now):
		return ErrHeld
	default:
		c.last = *last
		next := c.next(last.inherit(now))
		next.Owner, next.RequestID, next.RetryCount, next.LeaseEnd = own.Owner, own.RequestID, own.RetryCount, own.LeaseEnd
		return c.append(ctx, next)
	}
}

// next returns the line after the last one, by the same holder.
func (c *Claim) next(s State) line {
	next := c.last
	next.Sequence, next.Previous, next.State = c.last.Sequence+1, c.last.MAC, s
	next.Generation, next.PossibleExtraCharges = min(s.Generation, maxCount), min(s.PossibleExtraCharges, maxCount) // a line with more is not believed
	return next
}

// append writes the next line of the claim and verifies that it is part of the chain. ErrHeld means that it is not: another
// invocation took the claim over or removed it.
func (c *Claim) append(ctx context.Context, next line) error {
	written := next
	if written.ResultAt != 0 && c.length > repeatBytes {
		written.Result = nil
	} else {
		written.ResultAt = 0
	}
	encoded := c.object.Auth.encode(&written, c.object.Image)
	next.MAC = written.MAC
	if written.Result != nil {
		next.ResultAt = next.Sequence
	}
	for range appendTries {
		data := encoded
		if c.torn {
			data = append([]byte("\n"), encoded...)
		}
		done, err := c.object.Store.Append(ctx, c.object.Key, c.length, data)
		crc := crc64.Update(c.crc, crcTable(), data)
		if err == nil && done.HasCRC && done.CRC64 == crc {
			c.last, c.extent = next, extent{length: done.Length, crc: crc}
			return nil
		}
		// The response was lost, another line came in between, or the object is another one of the same length.
		if err != nil && !errors.Is(err, bucket.ErrPositionMismatch) && !errors.Is(err, bucket.ErrNotFound) && !errors.Is(err, bucket.ErrNotAppendable) {
			return err
		}
		found, err := c.read(ctx)
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return err
		}
		switch {
		case found.last != nil && found.last.MAC == next.MAC:
			c.last, c.extent = next, found.extent
			return nil
		case c.last.MAC == "" && found.last == nil && found.ours: // no chain has begun yet
		case found.last == nil || found.last.MAC != c.last.MAC:
			return ErrHeld
		}
		c.extent = found.extent
	}
	return ErrHeld
}

func (c *Claim) read(ctx context.Context) (content, error) {
	body, _, err := c.object.Store.Read(ctx, c.object.Key, bucket.ReadOptions{Limit: maxBytes})
	if err != nil {
		return content{}, err
	}
	c.HoldsResults = c.HoldsResults || bytes.Contains(body, []byte(`"result":`)) // also in a torn line
	return c.object.Auth.parse(body, c.object.Image, time.Now()), nil
}

// Call is what the claim knows of the next call for one version of the image.
type Call struct {
	Nonce string
	// Indeterminate: a call with this nonce may have been accepted by now. Sending it again is safe while Valid.
	Indeterminate bool
	// PossibleExtraCharges counts calls that may have been charged without a result; PaidAgain says that one of them was for this
	// version.
	PossibleExtraCharges int
	PaidAgain            bool

	since time.Time
}

// Valid reports that the gateway still recognises the nonce if it has accepted it before.
func (c Call) Valid(now time.Time) bool { return now.Sub(c.since) < nonceWindow }

// Sent returns the call as it is known after its nonce was sent at the given time.
func (c Call) Sent(at time.Time) Call {
	if !c.Indeterminate {
		c.since = at
	}
	return c
}

// Used returns the call as it is known after the gateway refused its nonce at the given time, because somebody else had sent
// it: at any time that the gateway remembers.
func (c Call) Used(at time.Time) Call {
	c.since = at.Add(-nonceMemory)
	return c
}

// Call returns what is known of the next call for a version.
func (c *Claim) Call(v Version) Call {
	s := c.last.State
	call := Call{PossibleExtraCharges: s.PossibleExtraCharges, Indeterminate: s.Indeterminate, since: s.Since}
	generation := 0
	switch {
	case s.Version == Version{}:
		generation = s.Generation
	case s.Version.Equal(v):
		generation, call.Nonce, call.PaidAgain = s.Generation, s.Nonce, s.PaidAgain
	default:
		call.Indeterminate = !s.Abandoned.IsZero()
	}
	if call.Indeterminate && !s.Abandoned.IsZero() && s.Abandoned.Add(time.Minute).Before(v.LastModified) {
		call.Indeterminate = false // that holder had stopped before this version was there
	}
	if call.since.Before(v.LastModified) {
		call.since = v.LastModified
	}
	if call.Nonce == "" {
		call.Nonce = deriveNonce(c.object.Image, v, generation)
	}
	return call
}

// Result returns the paid result that the previous holder could not write, with the version that it is about; nil if there
// is none.
func (c *Claim) Result() (json.RawMessage, Version) { return c.last.Result, c.last.Version }

// Inherited reports whether the claim had a holder before, who may have left something in it.
func (c *Claim) Inherited() bool { return c.last.Sequence > 0 }

// LeaseEnd returns when the holder must have stopped.
func (c *Claim) LeaseEnd() time.Time { return c.last.LeaseEnd }

// NextGeneration records the next nonce for a version before it is sent, so that whoever takes over after a crash knows which
// nonce to ask about. forced is a nonce to be sent instead of the derived one, or empty.
func (c *Claim) NextGeneration(ctx context.Context, v Version, call Call, forced string) (Call, error) {
	s := State{Version: v, Nonce: forced, Since: time.Now().UTC(), PossibleExtraCharges: call.PossibleExtraCharges, PaidAgain: call.PaidAgain}
	if c.last.Version.Equal(v) || c.last.Version == (Version{}) {
		s.Generation = c.last.Generation
	}
	if forced == "" {
		s.Generation = generationAfter(s.Generation, call)
	}
	if err := c.append(ctx, c.next(s)); err != nil {
		return Call{}, err
	}
	return c.Call(v), nil
}

// SaveAndRelease ends the lease and leaves to the next holder what is known of the calls for a version, and a paid result
// that could not be written. consumed says that the call's nonce is not to be sent again: the next one is of the next
// generation.
func (c *Claim) SaveAndRelease(ctx context.Context, v Version, call Call, consumed bool, result json.RawMessage) error {
	s := State{Version: v, Since: call.since.UTC(), Indeterminate: call.Indeterminate, PossibleExtraCharges: call.PossibleExtraCharges, PaidAgain: call.PaidAgain, Result: result}
	if c.last.Version.Equal(v) || c.last.Version == (Version{}) {
		s.Generation, s.Nonce = c.last.Generation, c.last.Nonce
	}
	if consumed {
		s.Generation, s.Nonce, s.Indeterminate, s.Since = generationAfter(s.Generation, call), "", false, time.Now().UTC()
	}
	return c.save(ctx, s)
}

// generationAfter returns the generation that follows, for a call of which this is known.
func generationAfter(generation int, call Call) int {
	if call.PaidAgain {
		return max(generation+1, secondCall)
	}
	return generation + 1
}

// Return ends the lease and leaves the claim as it was found, for a holder that learned nothing about the image.
func (c *Claim) Return(ctx context.Context) error { return c.save(ctx, c.last.State) }

// ForgetResults has Return and SaveAndRelease leave nothing but the state of the calls, for an image that is gone.
func (c *Claim) ForgetResults() { c.forgetting = true }

func (c *Claim) save(ctx context.Context, s State) error {
	if c.forgetting && c.HoldsResults {
		return c.saveAnew(ctx, s)
	}
	next := c.next(s)
	next.LeaseEnd = time.Time{}
	return c.append(ctx, next)
}

// saveAnew replaces the object by one with a single line without a result: an appendable object keeps what was appended.
// Between the two requests the claim may become somebody else's. Then the state is lost, and the error tells it.
func (c *Claim) saveAnew(ctx context.Context, s State) error {
	if err := c.Release(ctx); err != nil {
		return err
	}
	c.HoldsResults = false
	s.Result = nil
	return c.create(ctx, &line{Incarnation: randomToken(), Owner: c.last.Owner, RequestID: c.last.RequestID, RetryCount: c.last.RetryCount, State: s})
}

// Release removes the claim of an image whose document is final, while the lease holds: after it, the claim may be somebody else's.
// A DELETE has no condition. So one whose response was lost is sent again only if the claim is seen to be still one's own and
// the lease has time left for it; otherwise the claim is left to end with its lease.
func (c *Claim) Release(ctx context.Context) error {
	if c.last.leaseOver(time.Now()) {
		return ErrHeld
	}
	err := c.object.Store.Delete(ctx, c.object.Key)
	for range 2 {
		if err == nil || !errors.Is(err, bucket.ErrUnavailable) {
			return err
		}
		found, readErr := c.read(ctx)
		switch {
		case errors.Is(readErr, bucket.ErrNotFound):
			return nil
		case readErr != nil:
			return readErr
		case found.last == nil || found.last.MAC != c.last.MAC:
			return ErrHeld
		case time.Until(c.last.LeaseEnd) < releaseMargin:
			return fmt.Errorf("left to the end of its lease: %w", err)
		}
		err = c.object.Store.Delete(ctx, c.object.Key)
	}
	return err
}

// deriveNonce derives the nonce of one generation of a version. It does not depend on the holder.
func deriveNonce(image string, v Version, generation int) string {
	sum := sha256.Sum256(marshal([]any{"fc-idcard-ocr nonce 2", image, v, generation})) // JSON keeps the parts apart
	return ocrclient.FormatNonce([16]byte(sum[:16]))
}

func randomToken() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
