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

	"golang.org/x/sync/semaphore"
)

const (
	// Prefix is where the objects of all days are.
	Prefix = result.OwnPrefix + "budget/"

	// checkInterval is how long an instance goes on with what it knows of the object: so long does an operator's order take
	// to reach it.
	checkInterval = 15 * time.Second
	// failureMemory is how long those who wait for a request that failed fail with it, instead of each trying again.
	failureMemory = 3 * time.Second
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

	// turn is held through requests to the store. It guards the fields up to the blank line.
	turn    *semaphore.Weighted
	day     string
	block   int            // reserved and not spent
	spent   map[string]int // by hour, not yet written to the object
	ledger  Ledger         // as far as it is known
	checked time.Time      // when it was read or written last
	failure error          // of the store, not of a caller's context
	failed  time.Time      // when

	instance string
	mu       sync.Mutex
	returned []time.Time // calls given back since the last turn
}

// New returns a budget of limit calls per day.
func New(limit int, claimSuffix string) *Budget {
	var id [8]byte
	rand.Read(id[:])
	return &Budget{limit: limit, claimSuffix: claimSuffix, turn: semaphore.NewWeighted(1), instance: hex.EncodeToString(id[:])}
}

// Take takes one call from the budget. It makes a request only if a block is used up, or if the last one was 15 seconds ago; who
// comes meanwhile waits for its outcome, and no longer than ctx allows. An error means that the call must not be made.
func (b *Budget) Take(ctx context.Context, store Store) error {
	if err := b.turn.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: no turn in the time that was left: %w", bucket.ErrUnavailable, err)
	}
	defer b.turn.Release(1)
	now := time.Now()
	if day := Day(now); day != b.day {
		b.day, b.block, b.ledger, b.checked, b.spent = day, 0, Ledger{}, time.Time{}, map[string]int{}
	}
	b.takeBack()
	if err := b.provide(ctx, store); err != nil {
		return err
	}
	b.block--
	b.spent[hour(now)]++
	return nil
}

// provide sees to it that there is a call that may be made. If the store was unavailable just now, it is not asked again. Other
// failures may be those of one caller's context or credentials, and are not remembered.
func (b *Budget) provide(ctx context.Context, store Store) error {
	stale := !recent(b.checked, checkInterval)
	if !stale && b.block > 0 {
		return b.allowed()
	}
	if b.failure != nil && recent(b.failed, failureMemory) {
		return b.failure
	}
	err := b.request(ctx, store, stale)
	b.failure = nil
	if errors.Is(err, bucket.ErrUnavailable) && ctx.Err() == nil {
		b.failure, b.failed = err, time.Now()
	}
	return err
}

// recent reports whether a time is less than d ago by the wall clock: the monotonic one may stand still in a frozen instance.
func recent(t time.Time, d time.Duration) bool { return time.Since(t.Round(0)).Abs() < d }

// request reads the day's object if it is stale, and reserves a block if there is none.
func (b *Budget) request(ctx context.Context, store Store, stale bool) error {
	if stale {
		if err := b.read(ctx, store); err != nil {
			return err
		}
	}
	if b.block == 0 {
		return b.reserve(ctx, store)
	}
	return b.allowed()
}

// GiveBack returns a call that was taken and not made, or that was surely not accepted. It does not wait for requests of Take.
func (b *Budget) GiveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.returned = append(b.returned, time.Now())
}

// takeBack adds what was given back to the block.
func (b *Budget) takeBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.returned {
		if Day(at) == b.day && b.spent[hour(at)] > 0 {
			b.block++
			b.spent[hour(at)]--
		}
	}
	b.returned = nil
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
