package budget

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"fc-idcard-ocr/internal/bucket"
)

// Entry is one line of a day's object. It has one of Reserved, Limit and Paused.
type Entry struct {
	ID string    `json:"id"` // random
	At time.Time `json:"at"`
	By string    `json:"by"` // the instance, or the operator's word for himself
	// Reserved is how many calls the instance may make from now on.
	Reserved int `json:"reserved,omitempty"`
	// SpentByHour is how many calls the instance has made since its line before, by the hour in which it began them.
	SpentByHour map[string]int `json:"spentByHour,omitempty"`
	// Limit is the limit of this day from now on, instead of OCR_DAILY_LIMIT.
	Limit *int `json:"limit,omitempty"`
	// Paused stops and starts all calls.
	Paused *bool `json:"paused,omitempty"`
}

// Ledger is what a day's object says.
type Ledger struct {
	Reserved    int            `json:"reserved"`
	SpentByHour map[string]int `json:"spentByHour"` // as far as instances have reported
	Limit       *int           `json:"limit,omitempty"`
	Paused      bool           `json:"paused"`

	length int64
	torn   bool // the object ends within somebody's line: the next one needs a line feed before it
}

func (l Ledger) limitOr(limit int) int {
	if l.Limit != nil {
		return *l.Limit
	}
	return limit
}

// errBehind: the object has lines that are not known.
var errBehind = errors.New("budget: the day's object has changed")

// Read reads a day's object. A day without one has an empty ledger. Lines that are none are passed over.
func Read(ctx context.Context, store Store, key string) (Ledger, error) {
	body, err := read(ctx, store, key)
	if err != nil {
		return Ledger{}, err
	}
	return parse(body), nil
}

func read(ctx context.Context, store Store, key string) ([]byte, error) {
	body, _, err := store.Read(ctx, key, bucket.ReadOptions{Limit: maxBytes})
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, nil
	}
	return body, err
}

func parse(body []byte) Ledger {
	l := Ledger{length: int64(len(body)), torn: len(body) > 0 && body[len(body)-1] != '\n'}
	for line := range bytes.Lines(body) {
		var e Entry
		if json.Unmarshal(line, &e) == nil {
			l.add(e)
		}
	}
	return l
}

func (l *Ledger) add(e Entry) {
	if e.Reserved > 0 {
		l.Reserved += e.Reserved
	}
	for hour, n := range e.SpentByHour {
		if l.SpentByHour == nil {
			l.SpentByHour = map[string]int{}
		}
		l.SpentByHour[hour] += n
	}
	if e.Limit != nil && *e.Limit >= 0 {
		l.Limit = e.Limit
	}
	if e.Paused != nil {
		l.Paused = *e.Paused
	}
}

// append writes an entry after what is known, and returns the ledger with it. errBehind means that somebody else was first.
func (l Ledger) append(ctx context.Context, store Store, key string, e Entry) (Ledger, error) {
	var id [8]byte
	rand.Read(id[:])
	e.ID = hex.EncodeToString(id[:])
	line, err := json.Marshal(e)
	if err != nil {
		return l, err
	}
	line = append(line, '\n')
	if l.torn {
		line = append([]byte("\n"), line...)
	}
	done, err := store.Append(ctx, key, l.length, line)
	if errors.Is(err, bucket.ErrPositionMismatch) {
		body, err := read(ctx, store, key)
		switch {
		case err != nil:
			return l, err
		case bytes.Contains(body, []byte(e.ID)): // the response was lost
			return parse(body), nil
		}
		return l, errBehind
	}
	if err != nil {
		return l, err
	}
	l.SpentByHour = maps.Clone(l.SpentByHour)
	l.add(e)
	l.length, l.torn = done.Length, false
	return l, nil
}

// Order appends an operator's order to a day's object: a limit for the day, or a pause.
func Order(ctx context.Context, store Store, key string, e Entry) (Ledger, error) {
	for range reserveTries {
		l, err := Read(ctx, store, key)
		if err != nil {
			return l, err
		}
		l, err = l.append(ctx, store, key, e)
		if !errors.Is(err, errBehind) {
			return l, err
		}
	}
	return Ledger{}, errBehind
}
