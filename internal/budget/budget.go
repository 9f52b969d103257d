// Package budget bounds the OCR calls of a day over all instances. Each day has one appendable object per bucket; an instance
// reserves a block of calls in it, by the same compare-and-set that claims use, and uses the block from memory. What a stopped
// instance did not spend is lost; nothing is ever spent twice.
//
// The same object holds what an operator orders: pause, resume, or another limit for the day.
package budget

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
)

const (
	// Prefix is where the objects of all days are. Nothing under it is ever an image.
	Prefix = result.OwnPrefix + "budget/"

	// checkInterval is how long an instance goes on with what it knows of the object: so long does an operator's order take
	// to reach it.
	checkInterval = 15 * time.Second
	// maxBlock limits how many calls a stopped instance can lose.
	maxBlock = 50
	// reserveTries bounds how often a reservation is tried against others.
	reserveTries = 20
	maxBytes     = 16 << 20
)

// Zone is the time zone of a day: that of the market's bills. China has no daylight saving time.
var Zone = time.FixedZone("Asia/Shanghai", 8*60*60)

// Day returns the day of a time, as 2006-01-02.
func Day(t time.Time) string { return t.In(Zone).Format(time.DateOnly) }

// Key returns the key of a day's object. It ends with the suffix of claims, which no image key has.
func Key(day, claimSuffix string) string { return Prefix + day + claimSuffix }

// Store is a bucket as a budget needs it.
type Store interface {
	Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error)
	Append(ctx context.Context, key string, position int64, data []byte) (bucket.Appended, error)
}

// The errors of Take beside those of the store.
var (
	// ErrExhausted: the day's calls are reserved.
	ErrExhausted = errors.New("the day's limit of OCR calls is reached")
	// ErrPaused: an operator has paused the calls of this day.
	ErrPaused = errors.New("OCR calls are paused by an operator")
)

// Budget is the budget of one bucket as one process sees it. It is safe for concurrent use.
type Budget struct {
	limit       int // calls per day, unless the day's object says otherwise
	claimSuffix string

	mu       sync.Mutex
	day      string
	block    int            // reserved and not spent
	spent    map[string]int // by hour, not yet written to the object
	ledger   Ledger         // as far as it is known
	checked  time.Time      // when it was read or written last
	instance string
}

// New returns a budget of limit calls per day.
func New(limit int, claimSuffix string) *Budget {
	var id [8]byte
	rand.Read(id[:])
	return &Budget{limit: limit, claimSuffix: claimSuffix, instance: hex.EncodeToString(id[:])}
}

// Take takes one call from the budget. It makes a request only if a block is used up, or if the last one was 15 seconds ago.
// An error means that the call must not be made.
func (b *Budget) Take(ctx context.Context, store Store) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if day := Day(now); day != b.day {
		b.day, b.block, b.ledger, b.checked, b.spent = day, 0, Ledger{}, time.Time{}, map[string]int{}
	}
	if now.Sub(b.checked) >= checkInterval {
		if err := b.read(ctx, store); err != nil {
			return err
		}
	}
	if err := b.allowed(); err != nil {
		return err
	}
	if b.block == 0 {
		if err := b.reserve(ctx, store); err != nil {
			return err
		}
	}
	b.block--
	b.spent[hour(now)]++
	return nil
}

// GiveBack returns a call that was taken and not made, or that was surely not accepted.
func (b *Budget) GiveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if Day(now) == b.day && b.spent[hour(now)] > 0 {
		b.block++
		b.spent[hour(now)]--
	}
}

func hour(t time.Time) string { return t.In(Zone).Format("15") }

// allowed reports whether what is reserved may be spent. A block that was reserved before the limit was lowered is still
// within what was reserved.
func (b *Budget) allowed() error {
	switch {
	case b.ledger.Paused:
		return ErrPaused
	case b.block == 0 && b.ledger.Reserved >= b.ledger.limitOr(b.limit):
		return ErrExhausted
	case b.ledger.limitOr(b.limit) == 0:
		return ErrExhausted
	}
	return nil
}

func (b *Budget) read(ctx context.Context, store Store) error {
	ledger, err := Read(ctx, store, Key(b.day, b.claimSuffix))
	if err == nil {
		b.ledger, b.checked = ledger, time.Now()
	}
	return err
}

// reserve takes a block. It is a tenth of what is left of the day, so that the last calls are not lost in the blocks of idle
// instances.
func (b *Budget) reserve(ctx context.Context, store Store) error {
	for range reserveTries {
		if err := b.allowed(); err != nil {
			return err
		}
		calls := min(max((b.ledger.limitOr(b.limit)-b.ledger.Reserved)/10, 1), maxBlock)
		entry := Entry{At: time.Now().UTC(), By: b.instance, Reserved: calls, SpentByHour: b.spent}
		ledger, err := b.ledger.append(ctx, store, Key(b.day, b.claimSuffix), entry)
		switch {
		case err == nil:
			b.ledger, b.checked, b.block, b.spent = ledger, time.Now(), calls, map[string]int{}
			return nil
		case !errors.Is(err, errBehind):
			return err
		}
		if err := b.read(ctx, store); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %d reservations lost against other instances", bucket.ErrUnavailable, reserveTries)
}
