// Package buckettest holds an object store in memory and the conformance suite that it and the real adapter pass. It is
// for tests and never part of what is deployed.
package buckettest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash/crc64"
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
	// Versioned keeps old versions and gives version IDs.
	Versioned bool

	mu       sync.Mutex
	objects  map[string]object
	versions map[string]object // by key and version ID
	written  int
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
		m.objects, m.versions = make(map[string]object), make(map[string]object)
	}
	err := act()
	m.mu.Unlock()
	if err == nil && after != nil {
		err = after(op, key)
	}
	return err
}

func failed(kind error) error { return fmt.Errorf("memory: %w", kind) }

func (m *Memory) find(key, versionID string) (object, error) {
	o, ok := m.objects[key]
	if versionID != "" {
		o, ok = m.versions[key+"\x00"+versionID]
	}
	if !ok {
		return o, failed(bucket.ErrNotFound)
	}
	return o, nil
}

// Head asks for an object without its bytes.
func (m *Memory) Head(_ context.Context, key string) (o bucket.Object, err error) {
	err = m.do("HEAD", key, func() error {
		found, err := m.find(key, "")
		o = found.Object
		o.Meta = maps.Clone(o.Meta)
		return err
	})
	return o, err
}

// Read returns an object's bytes; a process is not carried out.
func (m *Memory) Read(_ context.Context, key string, options bucket.ReadOptions) (body []byte, o bucket.Object, err error) {
	err = m.do("GET", key, func() error {
		found, err := m.find(key, options.VersionID)
		switch {
		case err != nil:
			return err
		case found.Archived():
			return failed(bucket.ErrArchived)
		case int64(len(found.body)) > options.Limit:
			return failed(bucket.ErrTooLarge)
		}
		body, o = bytes.Clone(found.body), found.Object
		return nil
	})
	return body, o, err
}

// SignURL returns a URL that leads nowhere.
func (m *Memory) SignURL(key, process, versionID string, life time.Duration) (string, error) {
	return fmt.Sprintf("https://memory.invalid/%s?versionId=%s&process=%s&x-oss-expires=%d&x-oss-signature=canary-presign", key, versionID, process, int(life.Seconds())), nil
}

// Append adds data if the object is position bytes long.
func (m *Memory) Append(_ context.Context, key string, position int64, data []byte) (a bucket.Appended, err error) {
	err = m.do("APPEND", key, func() error {
		found, exists := m.objects[key]
		switch {
		case exists && !found.appendable:
			return failed(bucket.ErrNotAppendable)
		case int64(len(found.body)) != position || (exists && position == 0):
			return failed(bucket.ErrPositionMismatch)
		}
		body := append(bytes.Clone(found.body), data...)
		m.put(key, bucket.PutOptions{ContentType: "application/x-ndjson"}, body, true)
		a = bucket.Appended{Length: int64(len(body)), CRC64: crc64.Checksum(body, crcTable), HasCRC: true}
		return nil
	})
	return a, err
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// Put stores an object.
func (m *Memory) Put(_ context.Context, key string, body []byte, o bucket.PutOptions) error {
	return m.do("PUT", key, func() error {
		if _, exists := m.objects[key]; exists && o.IfAbsent {
			return failed(bucket.ErrExists)
		}
		m.put(key, o, bytes.Clone(body), o.IfAbsent)
		return nil
	})
}

func (m *Memory) put(key string, options bucket.PutOptions, body []byte, appendable bool) {
	sum := md5.Sum(body)
	meta := maps.Clone(options.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	o := object{body: body, appendable: appendable, Object: bucket.Object{ETag: strings.ToUpper(hex.EncodeToString(sum[:])),
		Size: int64(len(body)), LastModified: time.Now().UTC().Truncate(time.Second), ContentType: options.ContentType, Meta: meta}}
	if m.Versioned && !appendable {
		m.written++
		o.VersionID = fmt.Sprint("v", m.written)
		m.versions[key+"\x00"+o.VersionID] = o
	}
	m.objects[key] = o
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

// Change changes what OSS says of an object, such as its storage class, without a request.
func (m *Memory) Change(key string, change func(*bucket.Object)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.objects[key]
	change(&o.Object)
	m.objects[key] = o
}
