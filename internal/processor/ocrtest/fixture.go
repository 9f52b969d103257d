package ocrtest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/require"
)

// The objects of a fixture, in the bucket "cards".
const (
	ImageKey  = "2026/a.jpg"
	ResultKey = ImageKey + ".ocr.json"
	ClaimKey  = ImageKey + ".ocr.claim"
)

// Fixture is a bucket with one image, a gateway, and a process between them.
type Fixture struct {
	Bucket  *buckettest.Memory
	OCR     *Gateway
	Log     *Log              // of all processes
	Options processor.Options // of the processes that start later

	t         testing.TB
	processor *processor.Processor
}

// NewFixture returns a fixture whose gateway has a plan. Each call is checked for having its nonce and version in the claim.
func NewFixture(t testing.TB, plan ...Outcome) *Fixture {
	f := &Fixture{t: t, Bucket: &buckettest.Memory{}, OCR: &Gateway{Plan: plan}, Log: &Log{}}
	f.OCR.OnCall = f.checkClaim
	f.Options = processor.Options{
		Open: func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) { return f.Bucket, nil },
		OCR:  f.OCR, ImageSource: config.Auto, Details: true, SecondLook: true, Timeout: 20 * time.Second, MaxAttempts: 3, OnLostAnswer: config.Retry,
		URLTTL: 5 * time.Minute, MaxImageBytes: 20 << 20,
		Keys:     result.Keys{ImageSuffixes: []string{".jpg", ".heic"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"},
		ClaimKey: claim.NewKey("secret"), Log: slog.New(slog.NewJSONHandler(f.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	f.Upload("version 1")
	return f
}

// The states of the image's claim.
const (
	NoClaim       = "none"
	ClaimHeld     = "held"
	ClaimReleased = "released" // or its lease is over: anybody can take it over
)

// ClaimState returns the state of the claim of the image.
func (f *Fixture) ClaimState() string {
	if f.Bucket.Content(ClaimKey) == nil {
		return NoClaim
	}
	if _, err := f.takeOver("somebody", 0); err != nil {
		require.ErrorIs(f.t, err, claim.ErrHeld)
		return ClaimHeld
	}
	return ClaimReleased
}

// takeOver takes the claim over in a copy of the bucket.
func (f *Fixture) takeOver(requestID string, retryCount int) (*claim.Claim, error) {
	object := f.ClaimObject()
	object.Store = &buckettest.Memory{}
	_, err := object.Store.Append(f.t.Context(), ClaimKey, 0, f.Bucket.Content(ClaimKey))
	require.NoError(f.t, err)
	return claim.Acquire(f.t.Context(), object, claim.Holder{RequestID: requestID, RetryCount: retryCount, LeaseEnd: time.Now().Add(time.Minute)})
}

// checkClaim: whoever takes over after a crash must find the nonce under way.
func (f *Fixture) checkClaim(r ocrclient.Request) {
	body := f.Bucket.Content(ClaimKey)
	if body == nil {
		return // a picture that came with a request, or another image
	}
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	var last struct {
		RequestID  string
		RetryCount int
	}
	if json.Unmarshal(lines[len(lines)-1], &last) != nil {
		f.t.Errorf("a claim has a line that is no JSON")
		return
	}
	next, err := f.takeOver(last.RequestID, last.RetryCount+1)
	if err != nil {
		f.t.Errorf("a call was made without a claim of one's own: %v", err)
		return
	}
	if call := next.Call(f.Version()); call.Nonce != r.Nonce || !call.Indeterminate {
		f.t.Errorf("a call was made whose nonce the next holder would not ask about")
	}
}

// Version is the image's present version.
func (f *Fixture) Version() (v claim.Version) {
	f.Bucket.Change(ImageKey, func(o *bucket.Object) {
		v = claim.Version{ETag: o.ETag, LastModified: o.LastModified, VersionID: o.VersionID}
	})
	return v
}

// Processor returns the fixture's process, which starts at the first use.
func (f *Fixture) Processor() *processor.Processor {
	if f.processor == nil {
		f.processor = f.StartProcessor()
	}
	return f.processor
}

// Restart ends the fixture's process. The next one has the options as they are then.
func (f *Fixture) Restart() { f.processor = nil }

// StartProcessor starts another process at the same bucket and gateway.
func (f *Fixture) StartProcessor() *processor.Processor { return processor.New(f.Options) }

// Process has the fixture's process recognise the image in its present version.
func (f *Fixture) Process(inv processor.Invocation) processor.Outcome {
	return f.Processor().Process(f.t.Context(), inv, f.Request())
}

// Request names the image in its present version.
func (f *Fixture) Request() processor.Request {
	size := int64(len(f.Bucket.Content(ImageKey)))
	return processor.Request{Image: result.Image{Bucket: "cards", Key: ImageKey, ETag: f.ETag(), Size: size}, Region: "cn-hangzhou"}
}

// Event is OSS's event about the image's present version.
func (f *Fixture) Event() []byte { return Event(ImageKey, f.ETag()) }

// Event is OSS's event about an object in the fixture's bucket.
func Event(key, etag string) []byte {
	encoded, _ := json.Marshal(key)
	return fmt.Appendf(nil, `{"events":[{"eventName":"ObjectCreated:PutObject","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":%s,"eTag":%q,"size":9}}}]}`, encoded, etag)
}

// Upload puts the image's next version.
func (f *Fixture) Upload(content string) { f.Put(ImageKey, content) }

// Put puts a picture, and forgets the requests to the bucket so far.
func (f *Fixture) Put(key, content string) {
	require.NoError(f.t, f.Bucket.Put(f.t.Context(), key, []byte(content), bucket.PutOptions{ContentType: "image/jpeg"}))
	f.Bucket.Requests()
}

// PutResult puts something in the place of the image's document.
func (f *Fixture) PutResult(meta map[string]string, body string) {
	require.NoError(f.t, f.Bucket.Put(f.t.Context(), ResultKey, []byte(body), bucket.PutOptions{ContentType: result.ContentType, Meta: meta}))
}

// AppendClaim puts something in the place of the image's claim.
func (f *Fixture) AppendClaim(body string) {
	_, err := f.Bucket.Append(f.t.Context(), ClaimKey, 0, []byte(body))
	require.NoError(f.t, err)
}

// HoldClaim has another request claim the image, for a minute.
func (f *Fixture) HoldClaim(requestID string) *claim.Claim {
	c, err := claim.Acquire(f.t.Context(), f.ClaimObject(), claim.Holder{RequestID: requestID, LeaseEnd: time.Now().Add(time.Minute)})
	require.NoError(f.t, err)
	return c
}

// ClaimObject names the image's claim.
func (f *Fixture) ClaimObject() claim.Object {
	return claim.Object{Store: f.Bucket, Key: ClaimKey, Image: "cards/" + ImageKey, Auth: f.Options.ClaimKey}
}

// ETag is that of the image's present version.
func (f *Fixture) ETag() string {
	sum := md5.Sum(f.Bucket.Content(ImageKey))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// Document returns the document beside the image, nil if there is none.
func (f *Fixture) Document() *result.Document {
	body := f.Bucket.Content(ResultKey)
	if body == nil {
		return nil
	}
	d, err := result.Parse(body)
	require.NoError(f.t, err)
	return d
}

// Fail has the bucket refuse some requests with an error of that kind.
func (f *Fixture) Fail(kind error, requests func(op, key string) bool) {
	f.Bucket.Fail = func(op, key string) error {
		if requests(op, key) {
			return fmt.Errorf("memory: %w", kind)
		}
		return nil
	}
}

// Op selects the requests of one operation.
func Op(name string) func(op, key string) bool {
	return func(op, _ string) bool { return op == name }
}

// First is a first delivery with a minute of time.
func First(requestID string) processor.Invocation {
	return processor.Invocation{RequestID: requestID, Deadline: time.Now().Add(time.Minute), Region: "cn-hangzhou",
		Credentials: bucket.Credentials{AccessKeyID: "a", AccessKeySecret: "b", SecurityToken: "c"}}
}

// Retry is a later attempt of that request.
func Retry(requestID string, count int) processor.Invocation {
	inv := First(requestID)
	inv.RetryCount = count
	return inv
}

// LogLine returns the only line of the log with that message.
func (f *Fixture) LogLine(message string) (line map[string]any) {
	f.t.Helper()
	for text := range strings.Lines(f.Log.String()) {
		var entry map[string]any
		require.NoError(f.t, json.Unmarshal([]byte(text), &entry))
		if entry["msg"] == message {
			require.Nil(f.t, line, "twice: %s", f.Log)
			line = entry
		}
	}
	require.NotNil(f.t, line, "no %q in %s", message, f.Log)
	return line
}

// Log keeps what is logged.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns it all.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Reset forgets it.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
