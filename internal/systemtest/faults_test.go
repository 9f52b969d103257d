package systemtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fault is one thing that goes wrong, and what the contract says about it.
type fault struct {
	settings []string
	content  string                   // of the image; empty means a picture
	calls    func() []gateway.Fault   // what happens to the calls, in order
	oss      func(n int) (status int) // what happens to the nth request of kind on; 0 lets it pass, -1 resets, -2 acts and resets
	on       string                   // prefix of the requests that oss is about
	status   string                   // of the document; empty: there is none
	code     string
	again    bool   // the document is retryable, and FC is told the same code
	told     string // what FC is told if that is not the document's code
	accepted int
	extra    int
}

func refuse(r gateway.Refusal) func() []gateway.Fault { return each(gateway.Refuse(r)) }

// each lets the fault happen to every call.
func each(f gateway.Fault) func() []gateway.Fault {
	return func() []gateway.Fault { return []gateway.Fault{f, f, f, f, f} }
}

func script(faults ...gateway.Fault) func() []gateway.Fault {
	return func() []gateway.Fault { return faults }
}

func status(code, times int) func(int) int {
	return func(n int) int {
		if n <= times {
			return code
		}
		return 0
	}
}

const always = 1 << 30

var (
	reset       = gateway.Fault{Phase: gateway.PhaseArrival, Effect: gateway.EffectReset}
	hang        = gateway.Fault{Phase: gateway.PhaseArrival, Effect: gateway.EffectHang}
	swallow     = gateway.LoseAnswer(gateway.EffectClose)
	swallowHang = gateway.LoseAnswer(gateway.EffectHang)
	cut         = gateway.Fault{Phase: gateway.PhaseMidBody, Effect: gateway.EffectClose}
	late        = gateway.Fault{Phase: gateway.PhaseAfterCharge, Status: 504}
	echo        = `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"` + canaries["name"] + canaries["ID number"] + `"}}`
)

var faults = map[string]fault{
	// The gateway turns the call away.
	"throttled by user":             {calls: refuse(gateway.ThrottledByUSER), status: "failed", code: "Throttled", again: true},
	"throttled by app":              {calls: refuse(gateway.ThrottledByAPP), status: "failed", code: "Throttled", again: true},
	"throttled by api":              {calls: refuse(gateway.ThrottledByAPI), status: "failed", code: "Throttled", again: true},
	"throttled by group":            {calls: refuse(gateway.ThrottledByGROUP), status: "failed", code: "Throttled", again: true},
	"throttled once":                {calls: script(gateway.Refuse(gateway.ThrottledByAPP)), status: "recognized", accepted: 1},
	"throttled by the test domain":  {calls: refuse(gateway.ThrottledByDOMAIN), status: "failed", code: "Throttled"},
	"internal error":                {calls: refuse(gateway.InternalError), status: "failed", code: "Unavailable", again: true},
	"internal error once":           {calls: script(gateway.Refuse(gateway.InternalError)), status: "recognized", accepted: 1},
	"backend failed":                {calls: refuse(gateway.BackendFailed), status: "failed", code: "Unavailable", again: true},
	"gateway unavailable":           {calls: refuse(gateway.ServiceUnavailable), status: "failed", code: "Unavailable", again: true},
	"quota exhausted":               {calls: refuse(gateway.QuotaExhausted), status: "failed", code: "QuotaExhausted"},
	"market quota exhausted":        {calls: refuse(gateway.MarketQuotaExhausted), status: "failed", code: "QuotaExhausted"},
	"quota expired":                 {calls: refuse(gateway.QuotaExpired), status: "failed", code: "QuotaExhausted"},
	"authorisation expired":         {calls: refuse(gateway.AuthorizationExpired), status: "failed", code: "QuotaExhausted"},
	"arrears":                       {calls: refuse(gateway.UserArrears), status: "failed", code: "QuotaExhausted"},
	"unauthorised":                  {calls: refuse(gateway.Unauthorized), status: "failed", code: "Unauthorized"},
	"unknown address":               {calls: refuse(gateway.InvalidURL), status: "failed", code: "BadRequest"},
	"body too large":                {calls: refuse(gateway.BodyTooLarge), status: "failed", code: "ImageTooLarge"},
	"clock":                         {calls: refuse(gateway.TimestampExpired), status: "failed", code: "ClockSkew"},
	"wrong AppKey":                  {settings: []string{"OCR_APP_KEY=canaryWrongKey"}, status: "failed", code: "Unauthorized"},
	"wrong AppSecret":               {settings: []string{"OCR_APP_SECRET=canaryWrongSecret"}, status: "failed", code: "Unauthorized"},
	"wrong AppCode":                 {settings: []string{"OCR_APP_CODE=canaryWrongCode"}, status: "failed", code: "Unauthorized"},
	"nobody listens":                {settings: []string{"OCR_ENDPOINT=http://127.0.0.1:1/ocrIdCard"}, status: "failed", code: "Unavailable", again: true},
	"gateway echoes the request":    {calls: each(gateway.Fault{Phase: gateway.PhaseBeforeAccept, Refusal: &gateway.Refusal{Message: "Weird " + canaries["AppSecret"] + canaries["ID number"], Status: 400, Code: "I400XX"}}), status: "failed", code: "BadRequest"},
	"status without an explanation": {calls: each(gateway.Fault{Phase: gateway.PhaseProvider, Status: 403, Body: []byte("<html>" + canaries["name"])}), status: "failed", code: "Unauthorized", accepted: 1},

	// The answer does not arrive.
	"reset before acceptance, once": {calls: script(reset), status: "recognized", accepted: 1},
	"hang before acceptance, once":  {calls: script(hang), status: "recognized", accepted: 1},
	"answer lost":                   {calls: script(swallow), status: "recognized", accepted: 2, extra: 1},
	"answer lost, parked":           {settings: []string{"OCR_ON_LOST_ANSWER=park"}, calls: script(swallow), status: "failed", code: "AnswerLost", accepted: 1, extra: 1},
	"answer hangs":                  {calls: script(swallowHang), status: "recognized", accepted: 2, extra: 1},
	"answer hangs, parked":          {settings: []string{"OCR_ON_LOST_ANSWER=park"}, calls: script(swallowHang), status: "failed", code: "AnswerLost", accepted: 1, extra: 1},
	"answer cut":                    {calls: script(cut), status: "recognized", accepted: 2, extra: 1},
	"answer cut, parked":            {settings: []string{"OCR_ON_LOST_ANSWER=park"}, calls: script(cut), status: "failed", code: "AnswerLost", accepted: 1, extra: 1},
	"504 after the charge":          {calls: script(late), status: "recognized", accepted: 2, extra: 1},
	"every answer lost":             {calls: each(swallow), status: "failed", code: "Unavailable", again: true, accepted: 2, extra: 2},
	"one attempt, answer lost":      {settings: []string{"OCR_MAX_ATTEMPTS=1"}, calls: script(swallow), status: "failed", code: "Unavailable", again: true, accepted: 1, extra: 1},

	// The provider answers, but not with a card.
	"no card":                  {content: "no card here", status: "unrecognized", code: "NotRecognized", accepted: 2},
	"not a picture":            {content: "not a picture", status: "unrecognized", code: "ImageRejected", accepted: 2},
	"business failure in 450":  {calls: each(gateway.AnswerAs(450, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"remark":"未查到相关信息！"}}`, false)), status: "unrecognized", code: "NotRecognized", accepted: 2},
	"450 without envelope":     {calls: each(gateway.AnswerAs(450, `{"ret_code":-1,"remark":"未查到相关信息！"}`, false)), status: "unrecognized", code: "NotRecognized", accepted: 2},
	"charged and nothing read": {calls: each(gateway.AnswerAs(200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":"0","flag":false,"msg":"x"}}`, true)), status: "unrecognized", code: "NotRecognized", accepted: 1},
	"provider overloaded":      {calls: each(gateway.AnswerAs(200, `{"showapi_res_code":-1009,"showapi_fee_num":0,"showapi_res_error":"您的调用过于频繁!"}`, false)), status: "failed", code: "Throttled", again: true, accepted: 3},
	"HTML":                     {calls: each(gateway.AnswerAs(200, "<html>"+canaries["name"], true)), status: "failed", code: "BadAnswer", accepted: 1, extra: 1},
	"half JSON":                {calls: each(gateway.AnswerAs(200, `{"showapi_res_code":0,"showapi_res_body":{"name":"`+canaries["name"], true)), status: "failed", code: "BadAnswer", accepted: 1, extra: 1},
	"provider echoes the card": {calls: each(gateway.AnswerAs(200, echo, false)), status: "unrecognized", code: "NotRecognized", accepted: 2},
	"URL not readable":         {calls: script(gateway.AnswerAs(200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"错误的 imgData 或 imgUrl 参数！"}}`, false)), status: "recognized", accepted: 2},

	// OSS fails.
	"claim: 503 twice":       {on: "APPEND", oss: status(503, 2), status: "recognized", accepted: 1},
	"claim: down":            {on: "APPEND", oss: status(503, always), status: "failed", code: "Unavailable", again: true},
	"claim: no permission":   {on: "APPEND", oss: status(403, always), status: "failed", code: "AccessDenied"},
	"claim: answer lost":     {on: "APPEND", oss: status(-2, 1), status: "recognized", accepted: 1},
	"claim: reset":           {on: "APPEND", oss: status(-1, 1), status: "recognized", accepted: 1},
	"claim: refused":         {on: "APPEND", oss: status(400, always), status: "failed", code: "StorageRefused", again: true},
	"claim: retention":       {on: "APPEND", oss: status(409, always), status: "failed", code: "StorageRefused", again: true},
	"look: refused":          {on: "HEAD 2026/a.jpg", oss: status(400, always), status: "failed", code: "StorageRefused", again: true},
	"result: refused":        {on: "PUT", oss: status(400, always), told: "StorageRefused", accepted: 1},
	"release: answer lost":   {on: "DELETE", oss: status(-2, 1), status: "recognized", accepted: 1},
	"picture: refused":       {settings: []string{"OCR_IMAGE_SOURCE=data"}, on: "GET 2026/a.jpg", oss: status(400, always), status: "failed", code: "ImageUnsupported"},
	"look: 500 once":         {on: "HEAD", oss: status(500, 1), status: "recognized", accepted: 1},
	"look: down":             {on: "HEAD", oss: status(503, always), status: "failed", code: "Unavailable", again: true},
	"look: no permission":    {on: "HEAD 2026/a.jpg", oss: status(403, always), status: "failed", code: "AccessDenied"},
	"look: reset":            {on: "HEAD", oss: status(-1, 1), status: "recognized", accepted: 1},
	"result: 503 twice":      {on: "PUT", oss: status(503, 2), status: "recognized", accepted: 1},
	"result: reset":          {on: "PUT", oss: status(-1, 1), status: "recognized", accepted: 1},
	"result: answer lost":    {on: "PUT", oss: status(-2, 1), status: "recognized", accepted: 1},
	"result: down":           {on: "PUT", oss: status(503, always), told: "Unavailable", accepted: 1},
	"result: no permission":  {on: "PUT", oss: status(403, always), told: "AccessDenied", accepted: 1},
	"release: down":          {on: "DELETE", oss: status(503, always), status: "recognized", accepted: 1},
	"release: no permission": {on: "DELETE", oss: status(403, always), status: "recognized", accepted: 1},
	"picture: 503 twice":     {settings: []string{"OCR_IMAGE_SOURCE=data"}, on: "GET 2026/a.jpg", oss: status(503, 2), status: "recognized", accepted: 1},
	"picture: no permission": {settings: []string{"OCR_IMAGE_SOURCE=data"}, on: "GET 2026/a.jpg", oss: status(403, always), status: "failed", code: "AccessDenied"},
	"redirect elsewhere":     {on: "HEAD 2026/a.jpg", oss: status(307, always), status: "failed", code: "AccessDenied"},
}

func TestEveryFaultEndsAsTheContractSays(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, f.settings...)
			if f.content == "" {
				f.content = "a picture"
			}
			event := c.upload(f.content)
			if f.calls != nil {
				c.gateway.SetIntercept(gateway.Script(f.calls()...))
			}
			if f.oss != nil {
				c.setIntercept(disturb(f.on, f.oss))
			}
			answer, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
			c.setIntercept(nil)

			d := c.document()
			if f.status == "" {
				assert.Nil(t, d)
			} else if assert.NotNil(t, d, "every image ends with a document") {
				assert.Equal(t, f.status, string(d.Status))
				if f.code == "" {
					assert.Nil(t, d.Error)
				} else if assert.NotNil(t, d.Error) {
					assert.Equal(t, f.code, string(d.Error.Code), d.Error.Message)
					assert.Equal(t, f.again, d.Error.Retryable)
				}
				assert.Equal(t, f.extra, d.OCR.PossibleExtraCharges)
				assert.LessOrEqual(t, c.gateway.Ledger.Charged(), 1+d.OCR.PossibleExtraCharges, "no charge is hidden")
			}
			assert.Equal(t, f.accepted, c.gateway.Ledger.Accepted())
			told := f.told
			if f.again {
				told = f.code
			}
			var failed *fcfake.FunctionError
			switch {
			case told == "":
				assert.NoError(t, err, "a repetition helps nobody")
			case assert.ErrorAs(t, err, &failed):
				assert.Equal(t, told, failed.ErrorType)
			}

			// What was open is settled by the next delivery, and nothing is paid without need.
			c.gateway.SetIntercept(nil)
			if told != "" && f.settings == nil {
				_, err := c.invoke(event, fcfake.Options{RequestID: "r1", RetryCount: 1})
				require.NoError(t, err)
				assert.LessOrEqual(t, c.gateway.Ledger.Charged(), 2)
				if f.told != "" {
					assert.Equal(t, 1, c.gateway.Ledger.Accepted(), "the paid answer was kept")
				}
				require.NotNil(t, c.document())
				assert.False(t, c.claimExists())
			}
			c.noCanary(answer, err)
		})
	}
}

// disturb answers requests of one kind with an error, or breaks their connection.
func disturb(kind string, plan func(n int) int) func(string, http.HandlerFunc) http.HandlerFunc {
	n := 0
	return func(request string, next http.HandlerFunc) http.HandlerFunc {
		if !strings.HasPrefix(request, kind) || (strings.Contains(kind, " ") && request != kind) {
			return next
		}
		n++
		what := plan(n)
		if what == 0 {
			return next
		}
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case what == -2:
				next(discardResponse{w}, r)
				panic(http.ErrAbortHandler)
			case what == -1:
				panic(http.ErrAbortHandler)
			case what < 400:
				w.Header().Set("Location", "http://127.0.0.1:1/canary")
				w.WriteHeader(what)
			default:
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(what)
				fmt.Fprintf(w, `<Error><Code>%s</Code><Message>%s %s</Message></Error>`, map[int]string{400: "OperationNotSupported", 409: "FileImmutable", 403: "AccessDenied", 500: "InternalError", 503: "ServiceUnavailable"}[what],
					canaries["STS token"], canaries["name"])
			}
		}
	}
}

// noCanary searches everything that leaves the function beside the document and the calls: what it prints, what it answers.
func (c *cloud) noCanary(result fcfake.Result, err error) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return strings.Contains(c.logs.String(), "image done") }, 10*time.Second, 5*time.Millisecond, "the log was captured") // it comes through a pipe
	everything := c.logs.String() + string(result.Payload)
	var failed *fcfake.FunctionError
	if errors.As(err, &failed) {
		everything += failed.Error() + string(failed.Payload)
	}
	wanted := map[string]string{"a canary of the fault": "canary", "a signed URL": "x-oss-signature=", "an STS credential": "x-oss-security-token", "an Authorization": "OSS4-HMAC-SHA256"}
	for name, value := range canaries {
		wanted[name] = value
	}
	c.mu.Lock()
	for signature := range c.secretsSeen {
		wanted["signature "+signature] = signature
	}
	c.mu.Unlock()
	for name, value := range wanted {
		for _, form := range forms(value) {
			if strings.Contains(everything, form) {
				c.t.Errorf("%s appears in what the function prints or answers:\n%s", name, everything)
				return
			}
		}
	}
}

// forms returns a text as it is and as it can be disguised.
func forms(s string) []string {
	quoted, _ := json.Marshal(s)
	ascii := strings.Trim(fmt.Sprintf("%+q", s), `"`)
	list := []string{s, strings.Trim(string(quoted), `"`), ascii, url.QueryEscape(s), url.PathEscape(s)}
	for shift := range 3 { // base64 of a text inside another one, at any of its three positions
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
		encoded = strings.TrimRight(encoded, "=")
		list = append(list, encoded[min(len(encoded), (shift*4+2)/3):max(len(encoded)-2, (shift*4+2)/3)])
	}
	return list
}
