// Package mnsfake is the sandbox's message queue (Simple Message Queue, formerly MNS), in which the events end up that Function Compute
// gives up. It speaks the HTTP API of version 2015-06-06 in XML, checks the signature of every request, is meant for loopback only
// and keeps messages in memory.
//
// It serves SendMessage, PeekMessage, ReceiveMessage with waitseconds, DeleteMessage, their batches, ChangeMessageVisibility and
// GetQueueAttributes.
// Queues cannot be made or changed; there are no topics, delays and priorities.
package mnsfake

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // Content-MD5 is MD5 by definition
	"crypto/sha1" //nolint:gosec // the signature is HMAC-SHA1 by definition
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	namespace = "http://mns.aliyuncs.com/doc/v1/"
	version   = "2015-06-06"
	// Limits of the service: a message's size, the messages of a batch, the seconds of a long poll.
	maxBody  = 64 << 10
	maxBatch = 16
	maxWait  = 30
	// maxVisibility is for how long a message may be hidden: 12 hours.
	maxVisibility = 12 * 60 * 60
	window        = 15 * time.Minute
)

// Config says what is served.
type Config struct {
	// Queues are the names of the queues.
	Queues []string
	// Keys are the AccessKeys that may call, ID to secret.
	Keys map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server serves the queues.
type Server struct {
	config Config
	queues map[string]*queue
}

// New returns a Server with empty queues.
func New(config Config) *Server {
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Server{config: config, queues: map[string]*queue{}}
	for _, name := range config.Queues {
		s.queues[name] = &queue{now: config.Now, arrived: make(chan struct{})}
	}
	return s
}

// ErrTooLarge says that a message is over the limit of 64 KB.
var ErrTooLarge = errors.New("mnsfake: a message must not be larger than 65536 bytes")

// Send puts a message into a queue, as Function Compute does with an event that it gives up.
func (s *Server) Send(queue, body string) error {
	q, ok := s.queues[queue]
	if !ok {
		return fmt.Errorf("mnsfake: there is no queue %q", queue)
	}
	if len(body) > maxBody {
		return ErrTooLarge
	}
	q.send(body)
	return nil
}

// refusal is an error of the API.
type refusal struct {
	status        int
	code, message string
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newID()
	w.Header().Set("x-mns-request-id", id)
	w.Header().Set("x-mns-version", version)
	err := s.serve(w, r)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
	case err != nil:
		return // the caller has left
	default:
		return
	}
	answer(w, refused.status, struct {
		XMLName   xml.Name `xml:"http://mns.aliyuncs.com/doc/v1/ Error"`
		Code      string   `xml:"Code"`
		Message   string   `xml:"Message"`
		RequestID string   `xml:"RequestId"`
		HostID    string   `xml:"HostId"`
	}{Code: refused.code, Message: refused.message, RequestID: id, HostID: "http://" + r.Host})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 2*maxBatch*maxBody))
	if err != nil {
		return err
	}
	if refused := s.authenticate(r, body); refused != nil {
		return refused
	}
	name, resource, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/queues/"), "/")
	q, ok := s.queues[name]
	if !ok || !strings.HasPrefix(r.URL.Path, "/queues/") {
		return &refusal{http.StatusNotFound, "QueueNotExist", "The queue name you provided is not exist."}
	}
	query := r.URL.Query()
	switch {
	case resource == "" && r.Method == http.MethodGet:
		return attributes(w, name, q)
	case resource != "messages":
	case r.Method == http.MethodPost:
		return send(w, q, body)
	case r.Method == http.MethodGet:
		return receive(w, r, q)
	case r.Method == http.MethodPut:
		return changeVisibility(w, q, query.Get("receiptHandle"), query.Get("visibilityTimeout"))
	case r.Method == http.MethodDelete && query.Has("ReceiptHandle"):
		return remove(w, q, query.Get("ReceiptHandle"))
	case r.Method == http.MethodDelete:
		return removeBatch(w, q, body)
	}
	return &refusal{http.StatusNotFound, "InvalidRequestURL", "Http request URL is invalid."}
}

// authenticate checks time and signature (https://www.alibabacloud.com/help/doc-detail/27487.htm).
func (s *Server) authenticate(r *http.Request, body []byte) *refusal {
	date := r.Header.Get("x-mns-date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	at, err := http.ParseTime(date)
	if err != nil || s.config.Now().Sub(at).Abs() > window {
		return &refusal{http.StatusBadRequest, "TimeExpired", "The http request you sent is expired."}
	}
	if sum := r.Header.Get("Content-MD5"); sum != "" && !matchesMD5(sum, body) {
		return &refusal{http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified is invalid."}
	}
	id, signature, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "MNS "), ":")
	if !ok || !strings.HasPrefix(r.Header.Get("Authorization"), "MNS ") {
		return &refusal{http.StatusBadRequest, "InvalidAuthorization", "The Authorization header is invalid."}
	}
	secret, known := s.config.Keys[id]
	if !known {
		return &refusal{http.StatusForbidden, "AccessIDAuthError", "AccessID authentication fail, please check your AccessID and retry."}
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(stringToSign(r)))
	if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(signature)) {
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	}
	return nil
}

// stringToSign is what the caller signed; the resource is as it was sent.
func stringToSign(r *http.Request) string {
	var headers []string
	for name, values := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-mns-") {
			headers = append(headers, lower+":"+strings.TrimSpace(strings.Join(values, ","))+"\n")
		}
	}
	slices.Sort(headers)
	return r.Method + "\n" + r.Header.Get("Content-MD5") + "\n" + r.Header.Get("Content-Type") + "\n" + r.Header.Get("Date") + "\n" +
		strings.Join(headers, "") + r.URL.RequestURI()
}

// matchesMD5 takes the sum in both forms in which clients send it: base64 of the digest, as in HTTP, and of its hexadecimal form, as
// in the service's samples.
func matchesMD5(text string, body []byte) bool {
	sum := md5.Sum(body)
	return text == base64.StdEncoding.EncodeToString(sum[:]) || text == base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

type messageXML struct {
	XMLName          xml.Name
	ID               string `xml:"MessageId"`
	Body             string `xml:"MessageBody,omitempty"`
	BodyMD5          string `xml:"MessageBodyMD5"`
	ReceiptHandle    string `xml:"ReceiptHandle,omitempty"`
	EnqueueTime      int64  `xml:"EnqueueTime,omitempty"`
	FirstDequeueTime int64  `xml:"FirstDequeueTime,omitempty"`
	NextVisibleTime  int64  `xml:"NextVisibleTime,omitempty"`
	DequeueCount     *int   `xml:"DequeueCount"`
	Priority         int    `xml:"Priority,omitempty"`
}

const defaultPriority = 8

func shown(m message, withHandle bool) messageXML {
	x := messageXML{
		ID: m.id, Body: m.body, BodyMD5: m.md5(), EnqueueTime: m.enqueued.UnixMilli(), DequeueCount: &m.received, Priority: defaultPriority,
	}
	if m.received > 0 {
		x.FirstDequeueTime = m.first.UnixMilli()
	} else {
		x.FirstDequeueTime = x.EnqueueTime
	}
	if withHandle {
		x.ReceiptHandle, x.NextVisibleTime = m.handle, m.visible.UnixMilli()
	}
	return x
}

// document is a list in an answer, or one of its elements alone.
func document(messages []messageXML, isBatch bool) any {
	if !isBatch {
		messages[0].XMLName = xml.Name{Space: namespace, Local: "Message"}
		return messages[0]
	}
	return struct {
		XMLName  xml.Name     `xml:"http://mns.aliyuncs.com/doc/v1/ Messages"`
		Messages []messageXML `xml:"Message"`
	}{Messages: messages}
}

func send(w http.ResponseWriter, q *queue, body []byte) error {
	var in struct {
		XMLName  xml.Name
		Body     string `xml:"MessageBody"`
		Messages []struct {
			Body string `xml:"MessageBody"`
		} `xml:"Message"`
	}
	isBatch := false
	err := xml.Unmarshal(body, &in)
	bodies := []string{in.Body}
	if isBatch = in.XMLName.Local == "Messages"; isBatch {
		bodies = nil
		for _, m := range in.Messages {
			bodies = append(bodies, m.Body)
		}
	}
	if err != nil || len(bodies) == 0 || len(bodies) > maxBatch || slices.Contains(bodies, "") {
		return &refusal{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema."}
	}
	total := 0
	for _, text := range bodies {
		total += len(text)
	}
	if total > maxBody {
		return &refusal{http.StatusBadRequest, "InvalidArgument", "The length of message should not be larger than 65536."}
	}
	var out []messageXML
	for _, text := range bodies {
		m := q.send(text)
		out = append(out, messageXML{ID: m.id, BodyMD5: m.md5()})
	}
	answer(w, http.StatusCreated, document(out, isBatch))
	return nil
}

func receive(w http.ResponseWriter, r *http.Request, q *queue) error {
	query := r.URL.Query()
	limit, isBatch := 1, query.Has("numOfMessages")
	wait, err := 0, error(nil)
	if isBatch {
		limit, err = strconv.Atoi(query.Get("numOfMessages"))
	}
	if text := query.Get("waitseconds"); text != "" && err == nil {
		wait, err = strconv.Atoi(text)
	}
	if err != nil || limit < 1 || limit > maxBatch || wait < 0 || wait > maxWait {
		return &refusal{http.StatusBadRequest, "InvalidArgument", fmt.Sprintf("numOfMessages must be 1 to %d, waitseconds 0 to %d.", maxBatch, maxWait)}
	}
	isPeek := query.Get("peekonly") == "true"
	var found []message
	if isPeek {
		found = q.peek(limit)
	} else if found, err = poll(r, q, limit, time.Duration(wait)*time.Second); err != nil {
		return err
	}
	if len(found) == 0 {
		return &refusal{http.StatusNotFound, "MessageNotExist", "Message not exist."}
	}
	var out []messageXML
	for _, m := range found {
		out = append(out, shown(m, !isPeek))
	}
	answer(w, http.StatusOK, document(out, isBatch))
	return nil
}

// poll receives messages, and waits for one if there is none.
func poll(r *http.Request, q *queue, limit int, wait time.Duration) ([]message, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		found, arrived := q.receive(limit)
		if len(found) > 0 || wait == 0 {
			return found, nil
		}
		select {
		case <-arrived:
		case <-timer.C:
			return nil, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func remove(w http.ResponseWriter, q *queue, handle string) error {
	if err := q.remove(handle); err != nil {
		return refusalOf(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func changeVisibility(w http.ResponseWriter, q *queue, handle, seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 1 || n > maxVisibility {
		return &refusal{http.StatusBadRequest, "InvalidArgument", fmt.Sprintf("visibilityTimeout must be 1 to %d.", maxVisibility)}
	}
	m, err := q.change(handle, time.Duration(n)*time.Second)
	if err != nil {
		return refusalOf(err)
	}
	answer(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"http://mns.aliyuncs.com/doc/v1/ ChangeVisibility"`
		Handle  string   `xml:"ReceiptHandle"`
		Visible int64    `xml:"NextVisibleTime"`
	}{Handle: m.handle, Visible: m.visible.UnixMilli()})
	return nil
}

func refusalOf(err error) *refusal {
	if errors.Is(err, errHandle) {
		return &refusal{http.StatusBadRequest, "ReceiptHandleError", "The receipt handle you provide is not valid."}
	}
	return &refusal{http.StatusNotFound, "MessageNotExist", "Message not exist."}
}

func removeBatch(w http.ResponseWriter, q *queue, body []byte) error {
	var in struct {
		XMLName xml.Name `xml:"ReceiptHandles"`
		Handles []string `xml:"ReceiptHandle"`
	}
	if err := xml.Unmarshal(body, &in); err != nil || len(in.Handles) == 0 || len(in.Handles) > maxBatch {
		return &refusal{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema."}
	}
	type failed struct {
		Code    string `xml:"ErrorCode"`
		Message string `xml:"ErrorMessage"`
		Handle  string `xml:"ReceiptHandle"`
	}
	out := struct {
		XMLName xml.Name `xml:"http://mns.aliyuncs.com/doc/v1/ Errors"`
		Errors  []failed `xml:"Error"`
	}{}
	for _, handle := range in.Handles {
		if err := q.remove(handle); err != nil {
			e := refusalOf(err)
			out.Errors = append(out.Errors, failed{e.code, e.message, handle})
		}
	}
	if len(out.Errors) > 0 {
		answer(w, http.StatusNotFound, out)
		return nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func attributes(w http.ResponseWriter, name string, q *queue) error {
	active, inactive := q.count()
	answer(w, http.StatusOK, struct {
		XMLName    xml.Name `xml:"http://mns.aliyuncs.com/doc/v1/ Queue"`
		Name       string   `xml:"QueueName"`
		Visibility int      `xml:"VisibilityTimeout"`
		Retention  int      `xml:"MessageRetentionPeriod"`
		MaxSize    int      `xml:"MaximumMessageSize"`
		Active     int      `xml:"ActiveMessages"`
		Inactive   int      `xml:"InactiveMessages"`
		Delay      int      `xml:"DelayMessages"`
	}{Name: name, Visibility: int(visibility.Seconds()), Retention: int(retention.Seconds()), MaxSize: maxBody, Active: active, Inactive: inactive})
	return nil
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header)      //nolint:errcheck // the caller has left
	xml.NewEncoder(w).Encode(document) //nolint:errcheck // likewise
}
