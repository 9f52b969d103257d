package redrive

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the service's signature is HMAC-SHA1
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const event = `{"events":[{"eventName":"ObjectCreated:PutObject","oss":{"bucket":{"name":"cards"},"object":{"key":"2026/a.jpg"}}}]}`

// report is a message as Function Compute sends one to its failure destination.
func report(function, payload string) string {
	return fmt.Sprintf(`{"timestamp":1790000000000,"requestContext":{"requestId":"1-a","functionArn":"acs:fc:cn-hangzhou:1234:functions/%s/LATEST","condition":"RetryLimitExceeded","approximateInvokeCount":4},`+
		`"requestPayload":%q,"responseContext":{"statusCode":200,"functionError":"Unavailable"},"responsePayload":"{}"}`, function, payload)
}

// fakeQueue is a queue with the checks and the answers of the service's HTTP API.
type fakeQueue struct {
	t *testing.T

	mu       sync.Mutex
	waiting  []Message
	received map[string]Message // by receipt
	calls    []string
	refuse   string // method whose calls fail
}

func (f *fakeQueue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Method)
	mac := hmac.New(sha1.New, []byte("secret"))
	fmt.Fprintf(mac, "%s\n\ntext/xml\n%s\nx-mns-version:2015-06-06\n%s", r.Method, r.Header.Get("Date"), r.URL.RequestURI())
	if r.Header.Get("Authorization") != "MNS id:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error xmlns="http://mns.aliyuncs.com/doc/v1"><Code>SignatureDoesNotMatch</Code><Message>secret words</Message><RequestId>512B2A634403E52B1956133E</RequestId></Error>`)
		return
	}
	assert.Equal(f.t, "token", r.Header.Get("security-token"))
	query := r.URL.Query()
	switch {
	case r.Method == f.refuse:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `<Error><Code>InternalServerError</Code></Error>`)
	case r.URL.Path == "/queues/failures":
		fmt.Fprintf(w, `<Queue xmlns="http://mns.aliyuncs.com/doc/v1"><QueueName>failures</QueueName><ActiveMessages>%d</ActiveMessages></Queue>`, len(f.waiting))
	case r.URL.Path != "/queues/failures/messages":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>QueueNotExist</Code></Error>`)
	case r.Method == http.MethodDelete:
		delete(f.received, query.Get("ReceiptHandle"))
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		assert.Equal(f.t, "1", query.Get("visibilityTimeout"))
		receipt := query.Get("receiptHandle")
		f.waiting = append(f.waiting, f.received[receipt])
		delete(f.received, receipt)
		fmt.Fprint(w, `<ChangeVisibility><ReceiptHandle>x</ReceiptHandle></ChangeVisibility>`)
	case len(f.waiting) == 0:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>MessageNotExist</Code></Error>`)
	case query.Get("peekonly") == "true":
		fmt.Fprint(w, `<Messages xmlns="http://mns.aliyuncs.com/doc/v1">`)
		for _, m := range f.waiting[:min(16, len(f.waiting))] {
			fmt.Fprintf(w, `<Message><MessageId>%s</MessageId><MessageBody>%s</MessageBody><EnqueueTime>%d</EnqueueTime></Message>`, m.ID, escape(m.Body), m.Enqueued)
		}
		fmt.Fprint(w, `</Messages>`)
	default:
		m := f.waiting[0]
		f.waiting = f.waiting[1:]
		m.Receipt = m.ID + "+/="
		f.received[m.Receipt] = m
		fmt.Fprintf(w, `<Message xmlns="http://mns.aliyuncs.com/doc/v1"><MessageId>%s</MessageId><ReceiptHandle>%s</ReceiptHandle><MessageBody>%s</MessageBody><EnqueueTime>%d</EnqueueTime></Message>`,
			m.ID, m.Receipt, escape(m.Body), m.Enqueued)
	}
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// fakeFunction notes what it is handed.
type fakeFunction struct {
	events []string
	err    error
}

func (f *fakeFunction) InvokeAsync(_ context.Context, payload []byte) (string, error) {
	if f.err != nil {
		return "", f.err
	}
	f.events = append(f.events, string(payload))
	return "1-b", nil
}

// limiter counts, and refuses from a number on.
type limiter struct{ asked, atMost int }

func (l *limiter) Wait(context.Context) error {
	if l.asked++; l.atMost > 0 && l.asked > l.atMost {
		return context.Canceled
	}
	return nil
}

func newJob(t *testing.T, bodies ...string) (*Job, *fakeQueue, *fakeFunction) {
	queue := &fakeQueue{t: t, received: map[string]Message{}}
	for i, body := range bodies {
		queue.waiting = append(queue.waiting, Message{ID: fmt.Sprint("m", i), Body: body, Enqueued: time.Now().Add(-time.Hour).UnixMilli()})
	}
	server := httptest.NewServer(queue)
	t.Cleanup(server.Close)
	function := &fakeFunction{}
	return &Job{Queue: &Queue{Endpoint: server.URL, Name: "failures", Key: func(context.Context) (Key, error) { return Key{"id", "secret", "token"}, nil }},
		Invoker: function, Function: "idcard-ocr", Limiter: &limiter{}}, queue, function
}

func TestAMessageLeavesTheQueueOnlyAfterItsEventWasAccepted(t *testing.T) {
	j, queue, function := newJob(t, report("idcard-ocr", event), base64.StdEncoding.EncodeToString([]byte(report("idcard-ocr", event))), strings.Replace(report("idcard-ocr", "X"), `"X"`, event, 1))
	got, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Report{Waiting: 3, Submitted: 3}, got)
	assert.Equal(t, []string{event, event, event}, function.events, "the event as it came, whether the message is a text, base64, or holds an object")
	assert.Empty(t, queue.waiting)
	assert.Empty(t, queue.received)

	j, queue, function = newJob(t, report("idcard-ocr", event))
	function.err = errors.New("Function Compute: throttled")
	_, err = j.Run(t.Context())
	assert.ErrorIs(t, err, function.err)
	assert.Len(t, queue.waiting, 1, "whoever comes next finds it at once")
	assert.NotContains(t, queue.calls, http.MethodDelete)
}

func TestADryRunChangesNothing(t *testing.T) {
	bodies := []string{report("other", event)}
	for range 20 {
		bodies = append(bodies, report("idcard-ocr", event))
	}
	j, queue, function := newJob(t, bodies...)
	j.DryRun = true
	got, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Report{Waiting: 21, Looked: 16, Submitted: 15, Foreign: 1}, got)
	assert.Empty(t, function.events)
	assert.Len(t, queue.waiting, 21)
	assert.Equal(t, []string{http.MethodGet, http.MethodGet}, queue.calls)
}

func TestWhatIsNoEventOfTheFunctionStays(t *testing.T) {
	for name, body := range map[string]string{
		"of another function": report("other", event), "no JSON": "card", "no base64": "%%", "no event": report("idcard-ocr", "card"), "empty": "",
	} {
		j, queue, function := newJob(t, body)
		got, err := j.Run(t.Context())
		require.NoError(t, err, name)
		assert.Equal(t, Report{Waiting: 1, Foreign: 1}, got, name)
		assert.Empty(t, function.events, name)
		assert.Len(t, queue.received, 1, "%s: it is not deleted", name)
	}
}

func TestARunEndsThoughFailuresComeBack(t *testing.T) {
	j, queue, function := newJob(t, report("idcard-ocr", event), report("idcard-ocr", event))
	queue.waiting = append([]Message{{ID: "new", Body: report("idcard-ocr", event), Enqueued: time.Now().Add(time.Hour).UnixMilli()}}, queue.waiting...)
	got, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(0), got.Submitted, "what came after the beginning is for the next run")
	assert.Empty(t, function.events)
	assert.Len(t, queue.waiting, 3)

	j, _, function = newJob(t, report("idcard-ocr", event), report("idcard-ocr", event), report("idcard-ocr", event))
	j.Limit = 2
	got, err = j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Report{Waiting: 3, Submitted: 2}, got)
	assert.Len(t, function.events, 2)
	assert.Equal(t, 2, j.Limiter.(*limiter).asked, "each message waits for its turn")

	j, queue, _ = newJob(t, report("idcard-ocr", event), report("idcard-ocr", event))
	j.Limiter = &limiter{atMost: 1}
	got, err = j.Run(t.Context())
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Report{Waiting: 2, Submitted: 1}, got)
	assert.Len(t, queue.waiting, 1, "a run that is stopped has taken no message in vain")
}

func TestAnAcceptedEventThatCannotBeDeletedIsTold(t *testing.T) {
	j, queue, _ := newJob(t, report("idcard-ocr", event))
	queue.refuse = http.MethodDelete
	got, err := j.Run(t.Context())
	assert.Error(t, err)
	assert.Equal(t, Report{Waiting: 1, Twice: 1}, got)
}

func TestErrorsNameCodesAndNoMessage(t *testing.T) {
	j, _, _ := newJob(t, report("idcard-ocr", event))
	j.Queue.Key = func(context.Context) (Key, error) { return Key{"id", "wrong", "token"}, nil }
	_, err := j.Run(t.Context())
	var refused *QueueError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "the queue: the request was refused, status 403, code SignatureDoesNotMatch, request 512B2A634403E52B1956133E", err.Error())

	j.Queue.Name, j.Queue.Key = "absent", func(context.Context) (Key, error) { return Key{"id", "secret", "token"}, nil }
	_, err = j.Run(t.Context())
	assert.ErrorContains(t, err, "QueueNotExist")

	j.Queue.Endpoint = "http://127.0.0.1:1"
	_, err = j.Run(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "/queues/", "an address can hold a receipt")
	j.Queue.Endpoint = "nowhere"
	_, err = j.Run(t.Context())
	assert.ErrorContains(t, err, "no endpoint of SMQ")
	assert.Equal(t, "https://1234567890123456.mns.cn-hangzhou.aliyuncs.com", Endpoint("1234567890123456", "oss-cn-hangzhou"))
	assert.NotContains(t, Message{ID: "m", Body: "2026/a.jpg"}.String(), "2026")
}
