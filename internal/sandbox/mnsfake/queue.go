package mnsfake

import (
	"crypto/md5" //nolint:gosec // the service tells MD5 sums of messages
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// message is one message of a queue.
type message struct {
	id       string
	body     string
	enqueued time.Time
	// visible is when the message can be received next; received counts how often it was, first when for the first time.
	visible, first time.Time
	received       int
	handle         string // of the last receipt
}

func (m *message) md5() string {
	sum := md5.Sum([]byte(m.body))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

var (
	errNoMessage = errors.New("mnsfake: no message")
	errHandle    = errors.New("mnsfake: the receipt handle is not valid any more")
)

const (
	// visibility is for how long a received message is hidden: the service's default.
	visibility = 30 * time.Second
	// retention is for how long messages are kept, as in the deployment.
	retention = 7 * 24 * time.Hour
)

// queue keeps messages in the order in which they were sent.
type queue struct {
	now func() time.Time

	mu       sync.Mutex
	messages []*message
	arrived  chan struct{} // closed and replaced when a message comes
}

func newID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

func (q *queue) send(body string) message {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &message{id: newID(), body: body, enqueued: q.now(), visible: q.now()}
	q.messages = append(q.messages, m)
	close(q.arrived)
	q.arrived = make(chan struct{})
	return *m
}

// active returns up to limit messages that can be received now. The caller holds the lock.
func (q *queue) active(limit int) (found []*message) {
	now := q.now()
	kept := q.messages[:0]
	for _, m := range q.messages {
		if now.Sub(m.enqueued) >= retention {
			continue // it has outlived the queue's retention period
		}
		kept = append(kept, m)
		if len(found) < limit && !now.Before(m.visible) {
			found = append(found, m)
		}
	}
	clear(q.messages[len(kept):])
	q.messages = kept
	return found
}

// peek returns messages without receiving them.
func (q *queue) peek(limit int) (out []message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.active(limit) {
		out = append(out, *m)
	}
	return out
}

// receive returns messages and hides them from others for the visibility timeout. arrived is closed when the next message comes.
func (q *queue) receive(limit int) (out []message, arrived <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	for _, m := range q.active(limit) {
		m.received++
		if m.received == 1 {
			m.first = now
		}
		m.visible, m.handle = now.Add(visibility), strconv.Itoa(m.received)+"-"+newID()
		out = append(out, *m)
	}
	return out, q.arrived
}

// change sets for how long from now a received message stays hidden, and gives it a new handle.
func (q *queue) change(handle string, hide time.Duration) (message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, err := q.hidden(handle)
	if err != nil {
		return message{}, err
	}
	m.visible, m.handle = q.now().Add(hide), strconv.Itoa(m.received)+"-"+newID()
	return *m, nil
}

// hidden returns the message that was received with a handle. The caller holds the lock.
func (q *queue) hidden(handle string) (*message, error) {
	for _, m := range q.messages {
		if m.handle == handle && handle != "" {
			if !q.now().Before(m.visible) {
				return nil, errHandle // it is visible again
			}
			return m, nil
		}
	}
	return nil, errNoMessage
}

// remove deletes the message that was received with a handle.
func (q *queue) remove(handle string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, err := q.hidden(handle)
	if err != nil {
		return err
	}
	q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
	return nil
}

// count returns how many messages can be received, and how many are hidden.
func (q *queue) count() (active, inactive int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	active = len(q.active(len(q.messages)))
	return active, len(q.messages) - active
}
