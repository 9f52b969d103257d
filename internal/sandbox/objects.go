package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// ErrNoDocument says that FC gave an image up without a document.
var ErrNoDocument = message.Error("sandbox: the function left no document")

// ErrStalled is in the error of Await when nothing happens any more.
var ErrStalled = message.Error("sandbox: nothing happens any more")

// bucket opens the watched bucket over HTTP with the official SDK, like any program beside the sandbox would.
func (c *Cloud) bucket() (*aliyun.Bucket, error) {
	client, err := aliyun.New(c.OSSEndpoint, AccessKeyID, AccessKeySecret, aliyun.ForcePathStyle(true),
		aliyun.AuthVersion(aliyun.AuthV4), aliyun.Region(Region))
	if err != nil {
		return nil, err
	}
	return client.Bucket(c.Bucket)
}

// Upload puts an object into the watched bucket. The trigger then calls the function.
func (c *Cloud) Upload(ctx context.Context, key string, content []byte) error {
	bucket, err := c.bucket()
	if err != nil {
		return err
	}
	return bucket.PutObject(key, bytes.NewReader(content), aliyun.WithContext(ctx))
}

// Object reads an object of the watched bucket; it is nil if there is none.
func (c *Cloud) Object(ctx context.Context, key string) ([]byte, error) {
	bucket, err := c.bucket()
	if err != nil {
		return nil, err
	}
	body, err := bucket.GetObject(key, aliyun.WithContext(ctx))
	var answer aliyun.ServiceError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// Document is the part of a result document that the sandbox itself shows or judges.
type Document struct {
	Status string `json:"status"`
	Image  struct {
		Key  string `json:"key"`
		ETag string `json:"etag"`
	} `json:"image"`
	Card struct {
		Name      string `json:"name"`
		Sex       string `json:"sex"`
		Ethnicity string `json:"ethnicity"`
		BirthDate string `json:"birthDate"`
		Address   string `json:"address"`
		IDNumber  string `json:"idNumber"`
	} `json:"card"`
	// Validation is how the checks came out; those that could not be made are nil.
	Validation struct {
		Valid      bool  `json:"valid"`
		CheckDigit *bool `json:"checkDigit"`
		Region     *bool `json:"region"`
		BirthDate  *bool `json:"birthDate"`
		Sex        *bool `json:"sex"`
	} `json:"validation"`
	OCR struct {
		Charged  bool `json:"charged"`
		Attempts int  `json:"attempts"`
	} `json:"ocr"`
	Error struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Retryable bool   `json:"retryable"`
	} `json:"error"`
	CompletedAt time.Time `json:"completedAt"`
}

// Final reports whether no retry will replace the document.
func (d Document) Final() bool { return !d.Error.Retryable }

// Recognized reports whether a card was read.
func (d Document) Recognized() bool { return d.Status == "recognized" }

// Document reads the stored document of an image.
func (c *Cloud) Document(ctx context.Context, key string) (document Document, err error) {
	raw, err := c.Object(ctx, key+ResultSuffix)
	switch {
	case err != nil:
		return Document{}, err
	case raw == nil:
		return Document{}, ErrNoDocument
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return Document{}, message.Errorf("sandbox: the document of an image is no JSON: %w", err)
	}
	return document, nil
}

// Await waits until the object of this key has its final document, or FC has given its event up, and returns the
// document as it is stored. Without any, the error is ErrNoDocument. If nothing happens in the sandbox for longer than an attempt and
// the pause before it take, the document will not come: then the error is ErrStalled and says how things stand.
func (c *Cloud) Await(ctx context.Context, key string) (raw []byte, document Document, err error) {
	stalled := time.NewTimer(c.quietTime)
	defer stalled.Stop()
	for {
		c.mu.Lock()
		changed := c.changed
		reason, failed := c.failed[key]
		c.mu.Unlock()
		raw, err = c.Object(ctx, key+ResultSuffix)
		if err != nil {
			return nil, Document{}, err
		}
		if raw != nil {
			if err := json.Unmarshal(raw, &document); err != nil {
				return nil, Document{}, message.Errorf("sandbox: the document of an image is no JSON: %w", err)
			}
			if document.Final() || failed {
				return raw, document, nil
			}
		} else if failed {
			return nil, Document{}, fmt.Errorf("%w: %s", ErrNoDocument, reason)
		}
		select {
		case <-changed:
		case <-stalled.C:
			rest := time.Until(c.active.Load().Add(c.quietTime))
			if rest <= 0 {
				return nil, Document{}, c.stalled(ctx, key, document)
			}
			stalled.Reset(rest)
		case <-ctx.Done():
			return nil, Document{}, ctx.Err()
		}
	}
}

// stalled is the error of Await. document is the one that is not final, if there is one.
func (c *Cloud) stalled(ctx context.Context, key string, document Document) error {
	image, err := c.Object(ctx, key)
	if err != nil {
		return err
	}
	state := message.Text("the image is in the bucket")
	if image == nil {
		state = message.Text("there is no image")
	}
	if document.Error.Code != "" {
		state += message.Sprintf(", its document says %s", document.Error.Code)
	}
	c.mu.Lock()
	watchErr := c.watchErr
	c.mu.Unlock()
	if watchErr != nil {
		state += message.Sprintf(", files copied into the folder are not noticed (%v)", watchErr)
	}
	return message.Errorf("%w: for %v the document of %s did not come; %s, and Function Compute has %d events under way",
		ErrStalled, c.quietTime, result.MaskKey(key), state, c.Runtime.Pending())
}

// watchedBucket is the watched bucket as the management port knows it.
type watchedBucket struct{ *Cloud }

func (b watchedBucket) Settings() ossfake.BucketSettings { return b.OSS.Bucket(b.Bucket) }

func (b watchedBucket) Change(change func(*ossfake.BucketSettings)) error {
	return b.OSS.ChangeBucket(b.Bucket, change)
}

func (b watchedBucket) ApplyLifecycle(at time.Time) (ossfake.LifecycleReport, error) {
	return b.OSS.ApplyLifecycle(b.Bucket, at)
}
