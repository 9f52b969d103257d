// Package ocrclienttest is a local server for tests of programs that use package ocrclient, in the manner of net/http/httptest. It
// checks signature, time stamp and nonce as the API gateway does, answers what the test says, and counts what would be paid. It
// reads no picture.
package ocrclienttest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"time"

	"fc-idcard-ocr/ocrclient"
)

// window is how far a request's time stamp may be off, and how long a nonce is remembered.
const window = 15 * time.Minute

// Server is the fake. Set its fields before the first call.
type Server struct {
	// URL is the endpoint, for ocrclient.Client.Endpoint.
	URL string
	// Answer says what the provider answers to a call that the gateway has accepted. Nil answers with SampleCard.
	Answer func(Call) Answer
	// Now is the server's clock; nil means time.Now.
	Now func() time.Time

	auth ocrclient.Auth
	http *httptest.Server

	mu     sync.Mutex
	calls  []Call
	nonces map[string]time.Time
}

// Call is one request.
type Call struct {
	ImageURL string // empty if the picture itself was sent
	Image    []byte // nil if a URL was sent
	Details  bool
	Nonce    string
	// Refused is what the gateway said instead of passing the call on, such as "Nonce Used"; empty if it was accepted.
	Refused string
}

// SampleCard is on nobody's card: the number is the example of GB 11643.
var SampleCard = ocrclient.Card{IDNumber: "11010519491231002X", Name: "样张", Sex: "女", Ethnicity: "汉", BirthDate: "1949-12-31", Address: "北京市朝阳区"}

// NewServer starts a server that accepts calls with these credentials, an ocrclient.AppKey or ocrclient.AppCode. The caller must
// call Close.
func NewServer(auth ocrclient.Auth) *Server {
	s := &Server{auth: auth, nonces: map[string]time.Time{}}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL + "/ocrIdCard"
	return s
}

// Close ends the server once its calls are answered.
func (s *Server) Close() { s.http.Close() }

// Client returns a client with the right endpoint and credentials.
func (s *Server) Client() *ocrclient.Client {
	return &ocrclient.Client{Endpoint: s.URL, Auth: s.auth, HTTP: s.http.Client(), Now: s.Now}
}

// Calls returns the requests so far, those that were refused included.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Accepted is how many calls reached the provider, which may have charged each of them.
func (s *Server) Accepted() int {
	n := 0
	for _, c := range s.Calls() {
		if c.Refused == "" {
			n++
		}
	}
	return n
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	form, _ := url.ParseQuery(string(body)) // what cannot be parsed is not signed either
	image, _ := base64.StdEncoding.DecodeString(form.Get("imgData"))
	call := Call{ImageURL: form.Get("imgUrl"), Image: image, Details: form.Get("need_more_info") == "1", Nonce: r.Header.Get("X-Ca-Nonce")}

	s.mu.Lock()
	call.Refused = s.refuse(r, form)
	s.calls = append(s.calls, call)
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.calls))
	s.mu.Unlock()

	w.Header().Set("X-Ca-Request-Id", id)
	if call.Refused != "" {
		w.Header().Set("X-Ca-Error-Message", call.Refused)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answer := Card(SampleCard)
	if s.Answer != nil {
		answer = s.Answer(call)
	}
	answer.write(w)
}

// refuse returns the gateway's words for a request that it does not pass on, and notes the nonce of one that it does.
func (s *Server) refuse(r *http.Request, form url.Values) string {
	now := time.Now()
	if s.Now != nil {
		now = s.Now()
	}
	switch auth := s.auth.(type) {
	case ocrclient.AppCode:
		if !isAppCode(r, auth) {
			return "Invalid AppCode"
		}
	case ocrclient.AppKey:
		if refused := checkSignature(r, form, auth); refused != "" {
			return refused
		}
	default:
		return "Unauthorized"
	}
	stamp, err := strconv.ParseInt(r.Header.Get("X-Ca-Timestamp"), 10, 64)
	if off := now.Sub(time.UnixMilli(stamp)).Abs(); err != nil || off > window {
		return "Timestamp Expired"
	}
	nonce := r.Header.Get("X-Ca-Nonce")
	if used, ok := s.nonces[nonce]; ok && now.Sub(used) < window {
		return "Nonce Used"
	}
	s.nonces[nonce] = now
	return ""
}

// Answer is what the provider, or the way to it, answers. The zero Answer is an empty body with status 200.
type Answer struct {
	Status int         // 0 means 200
	Header http.Header // beside the usual
	Body   string
	Lost   bool // the call was accepted, and the connection ends without an answer
}

func (a Answer) write(w http.ResponseWriter) {
	if a.Lost {
		panic(http.ErrAbortHandler) // net/http closes the connection and logs nothing
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, values := range a.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	io.WriteString(w, a.Body)
}

// Card answers that a card was read, and charged.
func Card(c ocrclient.Card) Answer {
	return inEnvelope(map[string]any{"ret_code": 0, "flag": true, "msg": "识别成功!", "idNo": c.IDNumber, "name": c.Name, "sex": c.Sex,
		"nationality": c.Ethnicity, "birthday": c.BirthDate, "addr": c.Address})
}

// NotRecognized answers that no ID number was found, charged or not.
func NotRecognized(charged bool) Answer {
	code := -1
	if charged {
		code = 0
	}
	return inEnvelope(map[string]any{"ret_code": code, "flag": false, "msg": "识别失败"})
}

// ImageRejected answers, uncharged, that the picture cannot be read.
func ImageRejected() Answer {
	return inEnvelope(map[string]any{"ret_code": -1, "flag": false, "msg": "错误的 imgData 或 imgUrl 参数！"})
}

// Refused answers in the gateway's words, such as "Throttled by APP Flow Control" with status 403. Unlike what the server refuses by
// itself, such a call counts as accepted.
func Refused(status int, message string) Answer {
	return Answer{Status: status, Header: http.Header{"X-Ca-Error-Message": {message}}}
}

// Lost ends the connection instead of answering: the call may have been charged.
func Lost() Answer { return Answer{Lost: true} }

func inEnvelope(body map[string]any) Answer {
	text, err := json.Marshal(map[string]any{"showapi_res_code": 0, "showapi_res_error": "", "showapi_res_id": "642644970de376872d071c9f", "showapi_res_body": body})
	if err != nil {
		panic(err) // of strings and numbers there is none
	}
	return Answer{Body: string(text)}
}
