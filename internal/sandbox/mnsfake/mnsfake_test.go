package mnsfake_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/mnsfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fixture is a server with a queue "failures" and a clock.
type fixture struct {
	*mnsfake.Server
	t   *testing.T
	url string

	mu    sync.Mutex
	ahead time.Duration
}

func start(t *testing.T) *fixture {
	f := &fixture{t: t}
	f.Server = mnsfake.New(mnsfake.Config{Queues: []string{"failures"}, Keys: map[string]string{"id": "secret"}, Now: f.now})
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.ahead)
}

func (f *fixture) wait(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ahead += d
}

// call sends a request signed as the documentation says, and returns what an answer may hold.
func (f *fixture) call(method, resource, body string, change ...func(*http.Request)) (int, answer) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.url+resource, strings.NewReader(body))
	require.NoError(f.t, err)
	request.Header.Set("Content-Type", "text/xml")
	request.Header.Set("Date", f.now().UTC().Format(http.TimeFormat))
	request.Header.Set("x-mns-version", "2015-06-06")
	mac := hmac.New(sha1.New, []byte("secret"))
	io.WriteString(mac, method+"\n\ntext/xml\n"+request.Header.Get("Date")+"\nx-mns-version:2015-06-06\n"+resource) //nolint:errcheck // a hash takes everything
	request.Header.Set("Authorization", "MNS id:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, c := range change {
		c(request)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(f.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(f.t, err)
	assert.NotEmpty(f.t, response.Header.Get("x-mns-request-id"))
	var a answer
	if len(content) > 0 {
		require.NoError(f.t, xml.Unmarshal(content, &a), string(content))
		assert.Equal(f.t, "http://mns.aliyuncs.com/doc/v1/", a.XMLName.Space)
	}
	return response.StatusCode, a
}

type answer struct {
	XMLName          xml.Name
	Code             string
	MessageId        string //nolint:revive // as in the document
	MessageBody      string
	MessageBodyMD5   string
	ReceiptHandle    string
	DequeueCount     int
	NextVisibleTime  int64
	ActiveMessages   int
	InactiveMessages int
	Message          []answer
	Error            []struct{ ErrorCode string }
}

const messages = "/queues/failures/messages"

func TestAMessageIsPeekedReceivedAndDeleted(t *testing.T) {
	t.Parallel()
	f := start(t)
	status, a := f.call("GET", messages+"?peekonly=true", "")
	assert.Equal(t, 404, status)
	assert.Equal(t, "MessageNotExist", a.Code)
	require.NoError(t, f.Send("failures", `{"a":"<&>"}`))
	require.Error(t, f.Send("other", "x"))
	require.ErrorIs(t, f.Send("failures", strings.Repeat("x", 64<<10+1)), mnsfake.ErrTooLarge)

	status, a = f.call("GET", messages+"?peekonly=true", "")
	assert.Equal(t, 200, status)
	assert.Equal(t, `{"a":"<&>"}`, a.MessageBody)
	assert.Empty(t, a.ReceiptHandle)
	assert.Zero(t, a.DequeueCount)
	_, received := f.call("GET", messages+"?waitseconds=0", "")
	assert.Equal(t, a.MessageId, received.MessageId)
	assert.Equal(t, 1, received.DequeueCount)
	status, _ = f.call("GET", messages, "")
	assert.Equal(t, 404, status, "it is hidden")
	_, queue := f.call("GET", "/queues/failures", "")
	assert.Equal(t, []int{0, 1}, []int{queue.ActiveMessages, queue.InactiveMessages})

	f.wait(31 * time.Second)
	status, a = f.call("DELETE", messages+"?ReceiptHandle="+url.QueryEscape(received.ReceiptHandle), "")
	assert.Equal(t, 400, status)
	assert.Equal(t, "ReceiptHandleError", a.Code, "it is visible again")
	_, again := f.call("GET", messages, "")
	assert.Equal(t, 2, again.DequeueCount)
	status, _ = f.call("DELETE", messages+"?ReceiptHandle="+url.QueryEscape(again.ReceiptHandle), "")
	assert.Equal(t, 204, status)
	status, a = f.call("DELETE", messages+"?ReceiptHandle="+url.QueryEscape(again.ReceiptHandle), "")
	assert.Equal(t, 404, status)
	assert.Equal(t, "MessageNotExist", a.Code)
}

func TestMessagesComeInBatches(t *testing.T) {
	t.Parallel()
	f := start(t)
	status, sent := f.call("POST", messages, `<Messages xmlns="http://mns.aliyuncs.com/doc/v1/"><Message><MessageBody>1</MessageBody></Message><Message><MessageBody>2</MessageBody></Message></Messages>`)
	assert.Equal(t, 201, status)
	assert.Len(t, sent.Message, 2)
	status, sent = f.call("POST", messages, `<Message><MessageBody>3</MessageBody></Message>`)
	assert.Equal(t, 201, status)
	assert.Equal(t, "ECCBC87E4B5CE2FE28308FD9F2A7BAF3", sent.MessageBodyMD5)
	_, peeked := f.call("GET", messages+"?peekonly=true&numOfMessages=16", "")
	assert.Len(t, peeked.Message, 3)
	_, received := f.call("GET", messages+"?numOfMessages=2", "")
	require.Len(t, received.Message, 2)
	assert.Equal(t, "1", received.Message[0].MessageBody, "the oldest comes first")
	status, failed := f.call("DELETE", messages, "<ReceiptHandles><ReceiptHandle>"+received.Message[0].ReceiptHandle+"</ReceiptHandle><ReceiptHandle>none</ReceiptHandle></ReceiptHandles>")
	assert.Equal(t, 404, status)
	assert.Len(t, failed.Error, 1)
	status, _ = f.call("DELETE", messages, "<ReceiptHandles><ReceiptHandle>"+received.Message[1].ReceiptHandle+"</ReceiptHandle></ReceiptHandles>")
	assert.Equal(t, 204, status)
	f.wait(8 * 24 * time.Hour)
	status, _ = f.call("GET", messages, "")
	assert.Equal(t, 404, status, "a message is kept for a week")
}

func TestAReceivedMessageIsReleasedBeforeItsTime(t *testing.T) {
	t.Parallel()
	f := start(t)
	require.NoError(t, f.Send("failures", "x"))
	_, received := f.call("GET", messages, "")
	change := func(handle, seconds string) (int, answer) {
		return f.call("PUT", messages+"?receiptHandle="+url.QueryEscape(handle)+"&visibilityTimeout="+seconds, "")
	}
	status, a := change(received.ReceiptHandle, "0")
	assert.Equal(t, 400, status)
	assert.Equal(t, "InvalidArgument", a.Code)
	status, changed := change(received.ReceiptHandle, "1")
	assert.Equal(t, 200, status)
	assert.Equal(t, "ChangeVisibility", changed.XMLName.Local)
	assert.Less(t, changed.NextVisibleTime, received.NextVisibleTime)
	status, _ = change(received.ReceiptHandle, "1")
	assert.Equal(t, 404, status, "the handle was replaced")
	f.wait(time.Second)
	status, again := f.call("GET", messages, "")
	assert.Equal(t, 200, status)
	assert.Equal(t, received.MessageId, again.MessageId)
}

func TestALongPollEndsWithTheNextMessage(t *testing.T) {
	t.Parallel()
	f := start(t)
	got := make(chan answer)
	go func() {
		_, a := f.call("GET", messages+"?waitseconds=30", "")
		got <- a
	}()
	require.NoError(t, f.Send("failures", "late"))
	select {
	case a := <-got:
		assert.Equal(t, "late", a.MessageBody)
	case <-time.After(10 * time.Second):
		t.Error("the message did not end the poll")
	}
}

func TestWhatIsNotSignedRightlyIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	for name, test := range map[string]struct {
		method, resource, body string
		change                 func(*http.Request)
		status                 int
		code                   string
	}{
		"another queue":  {"GET", "/queues/other/messages", "", nil, 404, "QueueNotExist"},
		"another path":   {"GET", "/queues/failures/topics", "", nil, 404, "InvalidRequestURL"},
		"no signature":   {"GET", messages, "", func(r *http.Request) { r.Header.Del("Authorization") }, 400, "InvalidAuthorization"},
		"another header": {"GET", messages, "", func(r *http.Request) { r.Header.Set("x-mns-version", "1") }, 403, "SignatureDoesNotMatch"},
		"another key":    {"GET", messages, "", func(r *http.Request) { r.Header.Set("Authorization", "MNS other:x") }, 403, "AccessIDAuthError"},
		"an old date":    {"GET", messages, "", func(r *http.Request) { r.Header.Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT") }, 400, "TimeExpired"},
		"a wrong sum":    {"POST", messages, "<Message/>", func(r *http.Request) { r.Header.Set("Content-MD5", "x") }, 400, "InvalidDigest"},
		"no body":        {"POST", messages, "", nil, 400, "MalformedXML"},
		"a large body":   {"POST", messages, "<Message><MessageBody>" + strings.Repeat("x", 64<<10+1) + "</MessageBody></Message>", nil, 400, "InvalidArgument"},
		"too many":       {"GET", messages + "?numOfMessages=17", "", nil, 400, "InvalidArgument"},
		"too long":       {"GET", messages + "?waitseconds=31", "", nil, 400, "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			var changes []func(*http.Request)
			if test.change != nil {
				changes = append(changes, test.change)
			}
			status, a := f.call(test.method, test.resource, test.body, changes...)
			assert.Equal(t, test.status, status)
			assert.Equal(t, test.code, a.Code)
		})
	}
}
