package redrive

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the service's signature is HMAC-SHA1
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/message"
)

const (
	apiVersion  = "2015-06-06"
	callTimeout = 15 * time.Second
	maxAnswer   = 1 << 20 // bytes; a message has 64 KB
)

// Key is an AccessKey; Token is empty unless it is a temporary one.
type Key struct{ ID, Secret, Token string }

// Queue is one queue of SMQ (formerly MNS) by its HTTP API, as far as redriving needs it
// (help.aliyun.com/zh/mns/developer-reference/request-protocol-description). It is safe for concurrent use.
type Queue struct {
	Endpoint string // such as https://<account ID>.mns.cn-hangzhou.aliyuncs.com
	Name     string
	Key      func(context.Context) (Key, error)
	HTTP     *http.Client // nil means one with redirects refused, as they would carry the token elsewhere
}

// Endpoint is the API's public address for an account.
func Endpoint(accountID, region string) string {
	return "https://" + accountID + ".mns." + strings.TrimPrefix(region, "oss-") + ".aliyuncs.com"
}

// Message is one message of the queue. Receipt is empty if it was only peeked at.
type Message struct {
	ID       string `xml:"MessageId"`
	Receipt  string `xml:"ReceiptHandle"`
	Body     string `xml:"MessageBody"`
	Enqueued int64  `xml:"EnqueueTime"` // milliseconds since 1970
}

// QueueError is a call that the service refused. Its text holds no message.
type QueueError struct {
	Status    int
	Code      string
	RequestID string
}

// Error returns code, status and request ID.
func (e *QueueError) Error() string {
	text := message.Sprintf("the queue: the request was refused, status %d", e.Status)
	if e.Code != "" {
		text += message.Sprintf(", code %s", e.Code)
	}
	if e.RequestID != "" {
		text += message.Sprintf(", request %s", e.RequestID)
	}
	return text
}

// errEmpty is that no message can be received now.
var errEmpty = message.Error("redrive: the queue is empty")

// Waiting is the number of messages that can be received. (GetQueueAttributes)
func (q *Queue) Waiting(ctx context.Context) (int64, error) {
	var attributes struct{ ActiveMessages int64 }
	err := q.call(ctx, http.MethodGet, "", &attributes)
	return attributes.ActiveMessages, err
}

// Peek reads up to 16 messages and changes nothing. (BatchPeekMessage)
func (q *Queue) Peek(ctx context.Context) ([]Message, error) {
	var list struct{ Message []Message }
	err := q.call(ctx, http.MethodGet, "/messages?peekonly=true&numOfMessages=16", &list)
	if errors.Is(err, errEmpty) {
		return nil, nil
	}
	return list.Message, err
}

// receive takes one message; it is hidden from others until its visibility time is over or it is deleted. (ReceiveMessage)
func (q *Queue) receive(ctx context.Context) (m Message, err error) {
	err = q.call(ctx, http.MethodGet, "/messages?waitseconds=0", &m)
	return m, err
}

// release shows a received message to others at once: 1 second is the least. (ChangeMessageVisibility)
func (q *Queue) release(ctx context.Context, receipt string) error {
	return q.call(ctx, http.MethodPut, "/messages?receiptHandle="+url.QueryEscape(receipt)+"&visibilityTimeout=1", nil)
}

// remove deletes a received message. (DeleteMessage)
func (q *Queue) remove(ctx context.Context, receipt string) error {
	return q.call(ctx, http.MethodDelete, "/messages?ReceiptHandle="+url.QueryEscape(receipt), nil)
}

func (q *Queue) call(ctx context.Context, method, resource string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key, err := q.Key(ctx)
	if err != nil {
		return err
	}
	resource = "/queues/" + url.PathEscape(q.Name) + resource
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(q.Endpoint, "/")+resource, nil)
	if err != nil || r.URL.Host == "" {
		return message.Errorf("%q is no endpoint of SMQ; expected one like https://123456789.mns.cn-hangzhou.aliyuncs.com", q.Endpoint)
	}
	r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("Content-Type", "text/xml")
	r.Header.Set("x-mns-version", apiVersion)
	if key.Token != "" {
		r.Header.Set("security-token", key.Token)
	}
	r.Header.Set("Authorization", "MNS "+key.ID+":"+signature(r, resource, key.Secret))
	response, err := q.http().Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which holds a receipt
		}
		return message.Errorf("the queue: no answer: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return message.Errorf("the queue: no whole answer: %w", err)
	}
	if response.StatusCode >= 300 {
		var refused struct{ Code, RequestId string }
		xml.Unmarshal(text, &refused) //nolint:errcheck // the status says enough
		if refused.Code == "MessageNotExist" {
			return errEmpty
		}
		return &QueueError{Status: response.StatusCode, Code: word(refused.Code), RequestID: word(refused.RequestId)}
	}
	if into == nil {
		return nil
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return &QueueError{Status: response.StatusCode, Code: "BadAnswer"}
	}
	return nil
}

// signature signs method, date, the service's headers and the resource with its query.
func signature(r *http.Request, resource, secret string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	io.WriteString(mac, strings.Join([]string{r.Method, r.Header.Get("Content-MD5"), r.Header.Get("Content-Type"), r.Header.Get("Date"),
		"x-mns-version:" + r.Header.Get("x-mns-version"), resource}, "\n")) //nolint:errcheck // a hash takes everything
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

var withoutRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (q *Queue) http() *http.Client {
	if q.HTTP != nil {
		return q.HTTP
	}
	return withoutRedirects
}

// word keeps codes and request IDs, and drops what may be an echo of a message.
func word(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}) {
		return ""
	}
	return s
}

// at is a message's time of arrival.
func (m Message) at() time.Time { return time.UnixMilli(m.Enqueued) }

// String names a message without its body, which names images.
func (m Message) String() string { return message.Sprintf("message %q", m.ID) }
