package handler

import (
	"context"
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
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/require"
)

// gateway is an API gateway with its provider, in memory: it accepts a nonce once in 15 minutes, and counts.
type gateway struct {
	// plan says what happens to the first calls, one word each; later calls and "ok" are recognised and charged.
	//   never, throttled, 503, quota, wrongkey, clock    turned away, see turnedAway
	//   lost       never arrived, and the caller cannot know
	//   swallowed  accepted and charged, but the answer is lost
	//   garbled    accepted and charged, but the answer cannot be parsed
	//   none       not recognised, not charged; paidnone: charged
	//   rejected   picture or URL could not be read, not charged
	//   busy       the provider's platform is overloaded, not charged; paidbusy: charged
	plan []string
	slow time.Duration // of each call
	// onCall, if set, is told about each call before anything happens to it.
	onCall func(ocrclient.Request)

	mu       sync.Mutex
	seen     map[string]time.Time
	requests []ocrclient.Request
	accepted int
	charged  int
}

var turnedAway = map[string]*ocrclient.Error{
	"never":     {Class: ocrclient.NeverSent, Code: ocrclient.Unavailable},
	"throttled": {Class: ocrclient.Refused, Code: ocrclient.Throttled, StatusCode: 429},
	"later":     {Class: ocrclient.Refused, Code: ocrclient.Throttled, StatusCode: 429, RetryAfter: 7 * time.Second},
	"503":       {Class: ocrclient.Refused, Code: ocrclient.Unavailable, StatusCode: 503},
	"quota":     {Class: ocrclient.Configuration, Code: ocrclient.QuotaExhausted, StatusCode: 403},
	"wrongkey":  {Class: ocrclient.Configuration, Code: ocrclient.Unauthorized, StatusCode: 400},
	"clock":     {Class: ocrclient.Configuration, Code: ocrclient.ClockSkew, StatusCode: 400},
	"lost":      {Class: ocrclient.Lost, Code: ocrclient.Timeout},
}

const cardBody = `{"msg":"识别成功!","flag":true,"ret_code":0,"idNo":"11010519491231002X","name":"canary-name","sex":"女","nationality":"汉","birthday":"1949年12月31日","addr":"canary-address"}`

func (g *gateway) Recognize(ctx context.Context, r ocrclient.Request) (*ocrclient.Answer, error) {
	g.mu.Lock()
	n := len(g.requests)
	g.requests = append(g.requests, r)
	word := "ok"
	if n < len(g.plan) {
		word = g.plan[n]
	}
	g.mu.Unlock()
	if g.onCall != nil {
		g.onCall(r)
	}
	if g.slow > 0 {
		select {
		case <-time.After(g.slow):
		case <-ctx.Done():
			return nil, &ocrclient.Error{Class: ocrclient.Lost, Code: ocrclient.Timeout}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := turnedAway[word]; err != nil {
		return nil, err
	}
	if g.seen == nil {
		g.seen = map[string]time.Time{}
	}
	if at, ok := g.seen[r.Nonce]; ok && time.Since(at) < 15*time.Minute {
		return nil, &ocrclient.Error{Class: ocrclient.NonceUsed, Code: ocrclient.AnswerLost, StatusCode: 400}
	}
	g.seen[r.Nonce] = time.Now()
	g.accepted++
	free := map[string]string{
		"none":     `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"识别失败"}}`,
		"rejected": `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"错误的 imgData 或 imgUrl 参数！"}}`,
		"busy":     `{"showapi_res_code":-1009,"showapi_fee_num":0,"showapi_res_error":"您的调用过于频繁!"}`,
	}
	if body, ok := free[word]; ok {
		return parsed(body), nil
	}
	g.charged++
	switch word {
	case "swallowed":
		return nil, &ocrclient.Error{Class: ocrclient.Lost, Code: ocrclient.Timeout}
	case "garbled":
		return nil, &ocrclient.Error{Class: ocrclient.Unreadable, Code: ocrclient.BadAnswer, StatusCode: 200}
	case "paidnone":
		return parsed(`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":false,"msg":"识别失败"}}`), nil
	case "paidbusy":
		return parsed(`{"showapi_res_code":-4,"showapi_fee_num":1,"showapi_res_error":"x"}`), nil
	case "ok":
		return parsed(`{"showapi_res_code":0,"showapi_res_id":"642644970de376872d071c9f","showapi_res_body":` + cardBody + `}`), nil
	}
	panic("no such word in a plan: " + word)
}

func parsed(body string) *ocrclient.Answer {
	a, err := ocrclient.ParseAnswer(200, []byte(body))
	if err != nil {
		panic(err)
	}
	return a
}

func (g *gateway) nonces() (list []string) {
	for _, r := range g.requests {
		list = append(list, r.Nonce)
	}
	return list
}

// world is a handler in front of a bucket and a gateway in memory.
type world struct {
	*Handler
	t      testing.TB
	bucket *buckettest.Memory
	ocr    *gateway
	log    *sink
}

const (
	imageKey  = "2026/a.jpg"
	resultKey = imageKey + ".ocr.json"
	claimKey  = imageKey + ".ocr.claim"
)

func newWorld(t testing.TB, plan ...string) *world {
	w := &world{t: t, bucket: &buckettest.Memory{}, ocr: &gateway{plan: plan}, log: &sink{}}
	w.Handler = w.handler()
	w.upload("version 1")
	w.ocr.onCall = func(r ocrclient.Request) { // whoever takes over after a crash must find the nonce under way
		if claimed := w.bucket.Content(claimKey); claimed != nil {
			last, ok := lastRecord(claimed)
			sum := md5.Sum(w.bucket.Content(imageKey))
			if !ok || last.Nonce != r.Nonce || !strings.EqualFold(last.ETag, hex.EncodeToString(sum[:])) {
				t.Errorf("a call was made whose nonce and version are not in the claim's last line")
			}
		}
	}
	return w
}

// handler returns a further process over the same bucket and gateway.
func (w *world) handler() *Handler {
	return New(Options{
		Open: func(name, region string, c bucket.Credentials, log *slog.Logger) (Store, error) { return w.bucket, nil },
		OCR:  w.ocr, ImageSource: SourceAuto, Details: true, Timeout: 20 * time.Second, MaxAttempts: 3, URLTTL: 5 * time.Minute,
		ImageSuffixes: []string{".jpg", ".heic"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim", MaxImageBytes: 20 << 20, HTTPAllow: []string{"cards"},
		Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

// sink takes the log of all processes.
type sink struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (w *world) upload(content string) {
	require.NoError(w.t, w.bucket.Write(w.t.Context(), imageKey, "image/jpeg", nil, []byte(content)))
	w.bucket.Requests()
}

func (w *world) etag() string {
	o, err := w.bucket.Stat(w.t.Context(), imageKey)
	require.NoError(w.t, err)
	return o.ETag
}

// event is the native event of the image's current version.
func (w *world) event() []byte {
	e := eventFor(imageKey, w.etag())
	w.bucket.Requests()
	return e
}

func eventFor(key, etag string) []byte {
	encoded, _ := json.Marshal(key)
	return fmt.Appendf(nil, `{"events":[{"eventName":"ObjectCreated:PutObject","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":%s,"eTag":%q,"size":9}}}]}`, encoded, etag)
}

// first is a first delivery with a minute of time.
func first(id string) Invocation {
	return Invocation{RequestID: id, Deadline: time.Now().Add(time.Minute), Region: "cn-hangzhou", Credentials: bucket.Credentials{AccessKeyID: "a", AccessKeySecret: "b", SecurityToken: "c"}}
}

func retry(id string, count int) Invocation {
	inv := first(id)
	inv.RetryCount = count
	return inv
}

func (w *world) document() *Document {
	body := w.bucket.Content(resultKey)
	if body == nil {
		return nil
	}
	var d Document
	require.NoError(w.t, json.Unmarshal(body, &d))
	return &d
}
