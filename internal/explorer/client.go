package explorer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"
)

// request is one attempt of a request, between its sender and the model. It is carried out when the scheduler chooses it, which
// may be after its sender has given up.
type request struct {
	by    *invocation
	op    string // HEAD, GET, APPEND, PUT, DELETE or POST
	what  string // image, document, claim or ocr
	n     int    // of this invocation's requests of this op and object
	sent  time.Time
	land  func() error // carries it out
	body  []byte       // of a PUT
	paid  *charge      // of a POST that was carried out and charged
	note  func()       // of a POST: the gateway notes the nonce and refuses the call
	reply chan error   // buffered
}

// String is unique in a schedule.
func (r *request) String() string {
	if r.op == "POST" {
		return fmt.Sprintf("%d.POST/%d", r.by.number, r.n)
	}
	return fmt.Sprintf("%d.%s %s/%d", r.by.number, r.op, r.what, r.n)
}

// writes reports whether the request changes anything when it is carried out late.
func (r *request) writes() bool { return r.op != "HEAD" && r.op != "GET" }

// errDown ends a call: all its attempts fail.
var errDown = fmt.Errorf("model: all attempts failed: %w", bucket.ErrUnavailable)

// send hands a request to the scheduler and waits for its reply. The goroutine of an invocation that was killed ends here.
func (w *world) send(ctx context.Context, r *request, lost error) error {
	if r.by.dead() {
		runtime.Goexit()
	}
	r.sent, r.reply = time.Now(), make(chan error, 1)
	w.arrive(r)
	select {
	case err := <-r.reply:
		return err
	case <-r.by.killed:
		runtime.Goexit()
	case <-ctx.Done():
		w.abandon(r)
	}
	return lost
}

// ossClient is the bucket as one invocation uses it, with the attempts and time-outs of package bucket.
type ossClient struct {
	w  *world
	by *invocation
}

const (
	attempts       = 3
	attemptTimeout = 5 * time.Second
)

func (c ossClient) do(ctx context.Context, op, key string, tries int, body []byte, land func() error) (err error) {
	for range tries {
		limited, cancel := context.WithTimeout(ctx, attemptTimeout)
		err = c.w.send(limited, &request{by: c.by, op: op, what: c.w.what(key), body: body, land: land}, failed(bucket.ErrUnavailable))
		cancel()
		if !errors.Is(err, bucket.ErrUnavailable) || errors.Is(err, errDown) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// note sets a flag of the invocation, two of whose requests may end at once.
func (c ossClient) note(flag *bool, on bool) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	*flag = *flag || on
}

func (c ossClient) Head(ctx context.Context, key string) (bucket.Object, error) {
	var o bucket.Object
	err := c.do(ctx, "HEAD", key, attempts, nil, func() (err error) {
		o, err = c.w.storage.head(key)
		if err == nil && key == c.w.imageKey {
			c.by.inspected = version{etag: o.ETag, modified: o.LastModified, id: o.VersionID}
		}
		if key == c.w.keys.Result(c.w.imageKey) {
			c.by.looked = c.w.steps
		}
		return err
	})
	c.note(&c.by.failedCheck, errors.Is(err, bucket.ErrUnavailable))
	return o, err
}

func (c ossClient) Read(ctx context.Context, key string, options bucket.ReadOptions) ([]byte, bucket.Object, error) {
	var body []byte
	var o bucket.Object
	err := c.do(ctx, "GET", key, attempts, nil, func() (err error) {
		body, o, err = c.w.storage.read(key, options)
		return err
	})
	return body, o, err
}

func (c ossClient) SignURL(key, _, versionID string, _ time.Duration) (string, error) {
	return key + "?" + versionID, nil
}

func (c ossClient) Append(ctx context.Context, key string, position int64, data []byte) (bucket.Appended, error) {
	results := make(chan bucket.Appended, attempts) // an attempt may be carried out when nobody waits for it
	err := c.do(ctx, "APPEND", key, attempts, data, func() error {
		done, err := c.w.storage.append(key, position, data)
		results <- done
		return err
	})
	if err != nil {
		c.note(&c.by.failedAppend, true)
		return bucket.Appended{}, err
	}
	var last bucket.Appended
	for len(results) > 0 {
		last = <-results
	}
	return last, nil
}

func (c ossClient) Put(ctx context.Context, key string, body []byte, options bucket.PutOptions) error {
	err := c.do(ctx, "PUT", key, attempts, body, func() error {
		return c.w.storage.put(key, body, options)
	})
	c.note(&c.by.failedPut, err != nil)
	return err
}

func (c ossClient) Delete(ctx context.Context, key string) error {
	return c.do(ctx, "DELETE", key, 1, nil, func() error {
		c.w.storage.delete(key)
		return nil
	})
}

// ocrClient makes calls to the model of the gateway.
type ocrClient struct{ w *world }

type invocationKey struct{}

func (c ocrClient) Recognize(ctx context.Context, r ocrclient.Request) (*ocrclient.Response, error) {
	by := ctx.Value(invocationKey{}).(*invocation)
	answers := make(chan *ocrclient.Response, 1)
	inspected := by.inspected
	err := c.w.send(ctx, &request{by: by, op: "POST", what: "ocr", note: func() { c.w.gateway.note(r) }, land: func() error {
		answer, err := c.w.gateway.accept(r, by, inspected)
		answers <- answer
		return err
	}}, callError(ocrclient.Indeterminate, ocrclient.Timeout))
	if err != nil {
		return nil, err
	}
	return <-answers, nil
}
