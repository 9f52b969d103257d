// Package buckettest holds an object store in memory and the conformance suite that it and the real adapter pass. It is
// for tests and never part of what is deployed.
package buckettest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"fc-idcard-ocr/internal/bucket"
)

// Memory is a bucket in memory. Its zero value is empty and ready to use; it is safe for concurrent use.
type Memory struct {
	// Fail, if set, is asked before each request and fails it with the error it returns.
	Fail func(op, key string) error
	// After, if set, is asked after each request took effect; an error is a lost answer.
	After func(op, key string) error

	mu       sync.Mutex
	objects  map[string]object
	requests []string
}

type object struct {
	bucket.Object
	body       []byte
	appendable bool
}

func (m *Memory) do(op, key string, act func() error) error {
	m.mu.Lock()
	m.requests = append(m.requests, op+" "+key)
	fail, after := m.Fail, m.After
	m.mu.Unlock()
	if fail != nil {
		if err := fail(op, key); err != nil {
			return err
		}
	}
	m.mu.Lock()
	if m.objects == nil {
		m.objects = make(map[string]object)
	}
	err := act()
	m.mu.Unlock()
	if err == nil && after != nil {
		err = after(op, key)
	}
	return err
}

func (m *Memory) find(key string) (object, error) {
	o, ok := m.objects[key]
	if !ok {
		return o, fmt.Errorf("memory: %w", bucket.ErrNotFound)
	}
	return o, nil
}

// Head looks at an object.
func (m *Memory) Head(_ context.Context, key string) (o bucket.Object, err error) {
	err = m.do("HEAD", key, func() error {
		found, err := m.find(key)
		o = found.Object
		o.Meta = maps.Clone(o.Meta)
		return err
	})
	return o, err
}

// Read returns an object's bytes; process is not carried out.
func (m *Memory) Read(_ context.Context, key, _ string, limit int64) (body []byte, err error) {
	err = m.do("GET", key, func() error {
		found, err := m.find(key)
		if err == nil && int64(len(found.body)) > limit {
			err = fmt.Errorf("memory: %w", bucket.ErrTooLarge)
		}
		body = bytes.Clone(found.body)
		return err
	})
	return body, err
}

// SignURL returns a URL that leads nowhere.
func (m *Memory) SignURL(key, process string, life time.Duration) (string, error) {
	return fmt.Sprintf("https://memory.invalid/%s?process=%s&x-oss-expires=%d&x-oss-signature=canary-presign", key, process, int(life.Seconds())), nil
}

// Append adds data if the object is position bytes long.
func (m *Memory) Append(_ context.Context, key string, position int64, data []byte) (length int64, err error) {
	err = m.do("APPEND", key, func() error {
		found, exists := m.objects[key]
		switch {
		case exists && !found.appendable:
			return fmt.Errorf("memory: %w", bucket.ErrInvalid)
		case int64(len(found.body)) != position || (exists && position == 0):
			return fmt.Errorf("memory: %w", bucket.ErrPositionMismatch)
		}
		m.put(key, "application/x-ndjson", nil, append(bytes.Clone(found.body), data...), true)
		length = position + int64(len(data))
		return nil
	})
	return length, err
}

// Put stores an object.
func (m *Memory) Put(_ context.Context, key, contentType string, meta map[string]string, body []byte) error {
	return m.do("PUT", key, func() error {
		m.put(key, contentType, maps.Clone(meta), bytes.Clone(body), false)
		return nil
	})
}

// PutIfAbsent stores an object where none is.
func (m *Memory) PutIfAbsent(_ context.Context, key, contentType string, meta map[string]string, body []byte) error {
	return m.do("PUT", key, func() error {
		if _, exists := m.objects[key]; exists {
			return fmt.Errorf("memory: %w", bucket.ErrInvalid)
		}
		m.put(key, contentType, maps.Clone(meta), bytes.Clone(body), false)
		return nil
	})
}

func (m *Memory) put(key, contentType string, meta map[string]string, body []byte, appendable bool) {
	sum := md5.Sum(body)
	if meta == nil {
		meta = map[string]string{}
	}
	m.objects[key] = object{body: body, appendable: appendable, Object: bucket.Object{ETag: strings.ToUpper(hex.EncodeToString(sum[:])),
		Size: int64(len(body)), ContentType: contentType, Meta: meta}}
}

// Delete deletes an object.
func (m *Memory) Delete(_ context.Context, key string) error {
	return m.do("DELETE", key, func() error {
		delete(m.objects, key)
		return nil
	})
}

// Requests returns what was asked so far, as "HEAD a.jpg", in order, and forgets it.
func (m *Memory) Requests() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.requests
	m.requests = nil
	return r
}

// Content returns an object's bytes without a request, nil if it is not there.
func (m *Memory) Content(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.objects[key].body)
}
