package management_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/management"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

type reader struct{}

func (reader) Read(context.Context, []byte) (ocrengine.Card, error) {
	return ocrengine.Card{Name: "张三", IDNumber: "11010119040307001X"}, nil
}

// port is a management port with a gateway and a stand-in for OSS.
type port struct {
	*management.Server
	t                    *testing.T
	manage, gateway, oss *httptest.Server
	bucket               bucket
	stored               atomic.Int32 // requests that OSS carried out
}

func start(t *testing.T, change func(*management.Config)) *port {
	t.Helper()
	p := &port{t: t}
	config := management.Config{
		ExpireCredentials: func() int { return 3 },
		Bucket:            &p.bucket,
		HoldTime:          time.Hour,
	}
	if change != nil {
		change(&config)
	}
	var err error
	p.Server, err = management.New(config)
	require.NoError(t, err)
	g, err := gateway.New(gateway.Config{AppCodes: []string{"code"}, Reader: reader{}, Intercept: p.Intercept, OnCall: p.OnCall})
	require.NoError(t, err)
	p.gateway = httptest.NewServer(p.Wrap(management.ServiceGateway, g))
	p.manage = httptest.NewServer(p.Handler(g, nil))
	p.oss = httptest.NewServer(p.Wrap(management.ServiceOSS, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.stored.Add(1)
		w.Header().Set("ETag", `"E"`)
		io.WriteString(w, "0123456789") //nolint:errcheck // a test
	})))
	for _, server := range []*httptest.Server{p.gateway, p.manage, p.oss} {
		t.Cleanup(server.Close)
	}
	return p
}

// bucket keeps what is set.
type bucket struct {
	settings ossfake.BucketSettings
	ran      time.Time
}

func (b *bucket) Settings() ossfake.BucketSettings { return b.settings }

func (b *bucket) Change(change func(*ossfake.BucketSettings)) error {
	changed := b.settings
	change(&changed)
	if changed.Versioning == "Suspended" {
		return errors.New("not today")
	}
	b.settings = changed
	return nil
}

func (b *bucket) ApplyLifecycle(at time.Time) (ossfake.LifecycleReport, error) {
	b.ran = at
	return ossfake.LifecycleReport{Expired: 2}, nil
}

// ask sends a request to the management port and returns status and body.
func (p *port) ask(method, path, body string) (int, string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.manage.URL+path, strings.NewReader(body))
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	return response.StatusCode, string(answer)
}

func (p *port) order(rule string) {
	p.t.Helper()
	status, answer := p.ask("POST", "/faults", rule)
	require.Equal(p.t, http.StatusCreated, status, answer)
}

// call sends a picture to the gateway.
func (p *port) call() (status int, body string, err error) {
	request, err := http.NewRequestWithContext(p.t.Context(), "POST", p.gateway.URL+gateway.Path,
		strings.NewReader(url.Values{"imgData": {"aGVsbG8="}}.Encode()))
	require.NoError(p.t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "APPCODE code")
	request.Header.Set("X-Ca-Nonce", "nonce-1")
	return do(request)
}

// object sends a request to OSS, as the function if token is set.
func (p *port) object(method, path, token string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.oss.URL+path, nil)
	require.NoError(p.t, err)
	if token != "" {
		request.Header.Set("x-oss-security-token", token)
	}
	return do(request)
}

func do(request *http.Request) (int, string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // would repeat a GET on a connection that died
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestTheLedgerIsShownAndReset(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	_, _, err := p.call()
	require.NoError(t, err)
	var ledger management.Ledger
	read := func() {
		status, body := p.ask("GET", "/ledger", "")
		require.Equal(t, http.StatusOK, status)
		ledger = management.Ledger{}
		require.NoError(t, json.Unmarshal([]byte(body), &ledger))
		assert.NotContains(t, body, "110101", "what is on the card is nowhere")
	}
	read()
	assert.Equal(t, 1, ledger.Accepted)
	assert.Equal(t, 1, ledger.Charged)
	assert.Equal(t, []string{"nonce-1"}, ledger.Nonces)
	require.Len(t, ledger.Calls, 1)

	status, _ := p.ask("DELETE", "/ledger", "")
	assert.Equal(t, http.StatusNoContent, status)
	read()
	assert.Equal(t, management.Ledger{Calls: []gateway.Call{}, Nonces: []string{}}, ledger)
}

func TestRequestsAreRecordedWithoutSecrets(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	notices, cancel := p.Subscribe()
	defer cancel()
	for _, request := range []struct{ method, path, token string }{
		{"POST", "/cards/a.jpg.ocr.claim?append&position=0", "secret-token"},
		{"GET", "/cards/a.jpg?x-oss-signature=secret-signature&x-oss-security-token=secret-token", ""},
		{"PUT", "/cards/11010119040307001X.jpg", ""},
	} {
		_, _, err := p.object(request.method, request.path, request.token)
		require.NoError(t, err)
		<-notices // recorded after the answer has left
	}
	_, body := p.ask("GET", "/requests?service=oss", "")
	var answer struct{ Requests []management.Request }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Len(t, answer.Requests, 3)
	var seen []string
	for _, r := range answer.Requests {
		seen = append(seen, fmt.Sprint(r.Service, " ", r.Operation, " ", r.Path, " ", r.Caller, " ", r.Status))
	}
	assert.Equal(t, []string{
		"oss APPEND /cards/a.jpg.ocr.claim function 200", "oss GET /cards/a.jpg presigned 200", "oss PUT /cards/110***********001X.jpg client 200",
	}, seen)
	assert.NotContains(t, body, "secret")
	_, body = p.ask("GET", "/requests?service=gateway", "")
	assert.JSONEq(t, `{"requests":[]}`, body)
}

func TestTheLastThousandRequestsAreKept(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	handler := p.Wrap(management.ServiceTrigger, http.NotFoundHandler())
	for n := range 1003 {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprintf("/%d", n), nil))
	}
	requests := p.Requests()
	require.Len(t, requests, 1000)
	assert.Equal(t, "/3", requests[0].Path)
	assert.Equal(t, "/1002", requests[999].Path)
	assert.Equal(t, http.StatusNotFound, requests[0].Status)

	for range 1003 {
		p.Wrap(management.ServiceOSS, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/cards/a.jpg", nil))
	}
	assert.Len(t, p.Requests(), 2000, "of each service")
	byFunction := httptest.NewRequest("GET", "/cards/a.jpg", nil)
	byFunction.Header.Set("x-oss-security-token", "token")
	p.Wrap(management.ServiceOSS, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), byFunction)
	assert.Len(t, p.Requests(), 2001, "and for OSS of each kind of caller")
}

func TestFaultsStrikeOSS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule    string
		status  int
		body    string
		lost    bool // the caller gets an error instead of an answer
		carried bool // the request is carried out
	}{
		"before it is accepted":         {`{"endpoint":"oss","phase":"before-accept"}`, 503, "ServiceUnavailable", false, false},
		"before it is accepted, status": {`{"endpoint":"oss","phase":"before-accept","status":403}`, 403, "AccessDenied", false, false},
		"throttled":                     {`{"endpoint":"oss","phase":"throttle"}`, 503, "RateLimitExceeded", false, false},
		"reset":                         {`{"endpoint":"oss","phase":"reset"}`, 0, "", true, false},
		"answer lost":                   {`{"endpoint":"oss","phase":"after-charge"}`, 0, "", true, true},
		"answer replaced":               {`{"endpoint":"oss","phase":"after-charge","status":500}`, 500, "InternalError", false, true},
		"cut":                           {`{"endpoint":"oss","phase":"mid-body"}`, 200, "01234", true, true},
		"late":                          {`{"endpoint":"oss","phase":"latency","latencyMs":1}`, 200, "0123456789", false, true},
		"another operation":             {`{"endpoint":"oss","operation":"PUT","phase":"reset"}`, 200, "0123456789", false, true},
		"another key":                   {`{"endpoint":"oss","keySuffix":".png","phase":"reset"}`, 200, "0123456789", false, true},
		"another endpoint":              {`{"endpoint":"gateway","phase":"reset"}`, 200, "0123456789", false, true},
		"another request":               {`{"endpoint":"oss","nth":2,"phase":"reset"}`, 200, "0123456789", false, true},
		"the same operation and key":    {`{"endpoint":"oss","operation":"GET","keySuffix":"a.jpg","phase":"reset"}`, 0, "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.order(test.rule)
			status, body, err := p.object("GET", "/cards/a.jpg", "")
			assert.Equal(t, test.lost, err != nil, "%v", err)
			assert.Equal(t, test.status, status)
			assert.Contains(t, body, test.body)
			assert.Equal(t, test.carried, p.stored.Load() == 1)
		})
	}
}

func TestFaultsStrikeTheGateway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule     string
		status   int
		lost     bool
		accepted bool
	}{
		"before it is accepted":         {`{"endpoint":"gateway","phase":"before-accept"}`, 503, false, false},
		"before it is accepted, status": {`{"endpoint":"gateway","phase":"before-accept","status":418}`, 418, false, false},
		"throttled":                     {`{"endpoint":"gateway","phase":"throttle"}`, 403, false, false},
		"reset":                         {`{"endpoint":"gateway","phase":"reset"}`, 0, true, false},
		"answer lost":                   {`{"endpoint":"gateway","phase":"after-charge"}`, 0, true, true},
		"answer replaced":               {`{"endpoint":"gateway","phase":"after-charge","status":504}`, 504, false, true},
		"cut":                           {`{"endpoint":"gateway","phase":"mid-body"}`, 200, true, true},
		"late":                          {`{"endpoint":"gateway","phase":"latency","latencyMs":1}`, 200, false, true},
		"another image":                 {`{"endpoint":"gateway","keySuffix":"a.jpg","phase":"reset"}`, 200, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.order(test.rule)
			status, _, err := p.call()
			assert.Equal(t, test.lost, err != nil, "%v", err)
			assert.Equal(t, test.status, status)
			_, body := p.ask("GET", "/ledger", "")
			var ledger management.Ledger
			require.NoError(t, json.Unmarshal([]byte(body), &ledger))
			assert.Equal(t, test.accepted, ledger.Accepted == 1)
			assert.Equal(t, test.accepted, ledger.Charged == 1, "what is accepted is charged, whether the answer arrives or not")
		})
	}
}

func TestFaultsStrikeDeliveries(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	assert.Nil(t, p.InterceptEvent("a.jpg"))
	p.order(`{"endpoint":"function","phase":"throttle","keySuffix":"a.jpg"}`)
	p.order(`{"endpoint":"function","phase":"before-accept","nth":2}`)
	p.order(`{"endpoint":"function","phase":"before-accept","status":500,"nth":3}`)
	assert.Equal(t, &fcfake.SystemError{Status: 429, Code: "FunctionResourceExhausted"}, p.InterceptEvent("2026/a.jpg"))
	assert.Equal(t, &fcfake.SystemError{Status: 503, Code: "ServiceUnavailable"}, p.InterceptEvent("2026/b.jpg"))
	assert.Equal(t, &fcfake.SystemError{Status: 500, Code: "InternalServerError"}, p.InterceptEvent("2026/a.jpg"))
	assert.Nil(t, p.InterceptEvent("2026/a.jpg"))
}

func TestARuleStrikesFromTheNthRequestOn(t *testing.T) {
	t.Parallel()
	for rule, expected := range map[string][]int{
		`"nth":2`:              {200, 503, 200, 200},
		`"nth":2,"times":2`:    {200, 503, 503, 200},
		`"nth":3,"every":true`: {200, 200, 503, 503},
	} {
		p := start(t, nil)
		p.order(`{"endpoint":"oss","phase":"throttle",` + rule + `}`)
		var statuses []int
		for range expected {
			status, _, err := p.object("GET", "/cards/a.jpg", "")
			require.NoError(t, err)
			statuses = append(statuses, status)
		}
		assert.Equal(t, expected, statuses, rule)
	}
}

func TestRulesAreListedAndRemoved(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.order(`{"endpoint":"oss","phase":"throttle","keySuffix":".jpg"}`)
	p.order(`{"endpoint":"gateway","phase":"reset","every":true}`)
	_, _, err := p.object("GET", "/cards/a.jpg", "")
	require.NoError(t, err)
	_, body := p.ask("GET", "/faults", "")
	assert.JSONEq(t, `{"faults":[
		{"id":1,"endpoint":"oss","keySuffix":".jpg","nth":1,"times":1,"phase":"throttle","matched":1,"struck":1},
		{"id":2,"endpoint":"gateway","nth":1,"every":true,"phase":"reset","matched":0,"struck":0}]}`, body)
	status, _ := p.ask("DELETE", "/faults/1", "")
	assert.Equal(t, http.StatusNoContent, status)
	status, body = p.ask("DELETE", "/faults/1", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, body, "GET /faults lists")
	status, _ = p.ask("DELETE", "/faults", "")
	assert.Equal(t, http.StatusNoContent, status)
	_, body = p.ask("GET", "/faults", "")
	assert.JSONEq(t, `{"faults":[]}`, body)
}

func TestEventsAreDuplicatedAndReordered(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	var delivered []string
	deliver := func(keys ...string) []string {
		delivered = nil
		for _, key := range keys {
			p.Deliver(ossfake.Event{Key: key}, func(e ossfake.Event) { delivered = append(delivered, e.Key) })
		}
		return delivered
	}
	assert.Equal(t, []string{"a", "b"}, deliver("a", "b"))
	_, body := p.ask("POST", "/events/duplicate", `{"enabled":true}`)
	assert.JSONEq(t, `{"duplicate":true,"reorder":false}`, body)
	assert.Equal(t, []string{"a", "a", "b", "b"}, deliver("a", "b"))
	p.ask("POST", "/events/duplicate", `{"enabled":false}`)
	p.ask("POST", "/events/reorder", `{"enabled":true}`)
	assert.Equal(t, []string{"b", "a"}, deliver("a", "b", "c"))
	_, body = p.ask("POST", "/events/reorder", `{"enabled":false}`)
	assert.JSONEq(t, `{"duplicate":false,"reorder":false}`, body)
	assert.Equal(t, []string{"b", "a", "c"}, delivered, "what was held goes out")
}

func TestAHeldEventIsNotHeldForever(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *management.Config) { c.HoldTime = time.Millisecond })
	p.ask("POST", "/events/reorder", `{"enabled":true}`)
	delivered := make(chan string, 1)
	p.Deliver(ossfake.Event{Key: "a"}, func(e ossfake.Event) { delivered <- e.Key })
	assert.Equal(t, "a", <-delivered)
}

func TestCredentialsAreEndedAndVersioningIsSwitched(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	_, body := p.ask("POST", "/credentials/expire", "")
	assert.JSONEq(t, `{"expired":3}`, body)
	status, _ := p.ask("PUT", "/versioning", `{"status":"Enabled"}`)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "Enabled", p.bucket.settings.Versioning)
	status, body = p.ask("PUT", "/versioning", `{"status":"Suspended"}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "not today")
}

func TestTheBucketsSettingsAreChangedMemberByMember(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	status, body := p.ask("PATCH", "/bucket", `{"storageClass":"Archive","encryption":{"algorithm":"KMS","kmsKeyId":"k"},"lifecycle":[{"prefix":"a/","expiration":{"days":3}}]}`)
	assert.Equal(t, http.StatusOK, status, body)
	status, body = p.ask("PATCH", "/bucket", `{"retentionDays":7}`)
	assert.Equal(t, http.StatusOK, status, body)
	assert.Equal(t, ossfake.BucketSettings{StorageClass: "Archive", RetentionDays: 7, Encryption: ossfake.Encryption{Algorithm: "KMS", KMSKeyID: "k"},
		Lifecycle: []ossfake.LifecycleRule{{Prefix: "a/", Expiration: ossfake.LifecycleAge{Days: 3}}}}, p.bucket.settings)
	_, shown := p.ask("GET", "/bucket", "")
	assert.Equal(t, body, shown)
	status, body = p.ask("POST", "/lifecycle", `{"afterDays":3}`)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"expired": 2`)
	assert.WithinDuration(t, time.Now().Add(72*time.Hour), p.bucket.ran, time.Minute)
}

func TestMistakesAreAnsweredWithWhatIsAccepted(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for _, test := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "/faults", ``, 400, "it is empty"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset"} {}`, 400, "more after the first object"},
		{"POST", "/faults", `{"endpoint":"oss","fase":"reset"}`, 400, `unknown field`},
		{"POST", "/faults", `{"endpoint":"ocr","phase":"reset"}`, 400, "accepted are oss, gateway, function"},
		{"POST", "/faults", `{"endpoint":"function","phase":"reset"}`, 400, "accepted are before-accept, throttle"},
		{"POST", "/faults", `{"endpoint":"function","phase":"throttle","operation":"POST"}`, 400, "leave it out"},
		{"POST", "/faults", `{"endpoint":"function","phase":"before-accept","status":404}`, 400, "accepted for the function are 500 and 503"},
		{"POST", "/faults", `{"endpoint":"function","phase":"throttle","latencyMs":1}`, 400, "leave it out"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"later"}`, 400, "accepted are before-accept, after-charge, mid-body, latency, throttle, reset"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","operation":"LIST"}`, 400, "accepted are APPEND, DELETE, GET, HEAD, POST, PUT"},
		{"POST", "/faults", `{"endpoint":"gateway","phase":"reset","operation":"POST"}`, 400, "leave it out"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","nth":-1}`, 400, "accepted are 1 and more"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","times":-1}`, 400, "accepted are 1 and more"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","times":1,"every":true}`, 400, "exclude each other"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","status":500}`, 400, "only before-accept and after-charge"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"before-accept","status":200}`, 400, "accepted are 400 to 599"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"latency"}`, 400, "needs latencyMs"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","latencyMs":-1}`, 400, "accepted are 0 to"},
		{"POST", "/faults", `{"endpoint":"oss","phase":"reset","id":7}`, 400, "set by the server"},
		{"POST", "/events/duplicate", `{}`, 400, "enabled is missing"},
		{"PUT", "/versioning", `{"status":"on"}`, 400, "accepted are"},
		{"PATCH", "/bucket", `{"retention":7}`, 400, "unknown field"},
		{"PATCH", "/bucket", `{"versioning":"Suspended"}`, 400, "not today"},
		{"POST", "/lifecycle", `{"afterDays":-1}`, 400, "accepted is"},
		{"GET", "/requests?service=ocr", ``, 400, "accepted are oss, gateway, trigger"},
		{"PATCH", "/ledger", ``, 405, "accepted are DELETE, GET"},
		{"GET", "/leger", ``, 404, "accepted are /ledger"},
	} {
		status, body := p.ask(test.method, test.path, test.body)
		assert.Equal(t, test.status, status, test.path+test.body)
		var answer struct{ Error string }
		require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
		assert.Contains(t, answer.Error, test.text)
	}
	_, err := management.New(management.Config{})
	assert.ErrorContains(t, err, "required")
}

func TestOtherOriginsAreKeptOut(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for _, test := range []struct {
		host, origin string
		status       int
	}{
		{"evil.example", "", 403}, {"127.0.0.1.evil.example:80", "", 403},
		{"", "https://evil.example", 403}, {"localhost:8903", "", 204}, {"[::1]:8903", "", 204}, {"", "", 204},
	} {
		request, err := http.NewRequestWithContext(t.Context(), "DELETE", p.manage.URL+"/faults", nil)
		require.NoError(t, err)
		request.Host = test.host
		if test.origin != "" {
			request.Header.Set("Origin", test.origin)
		}
		status, _, err := do(request)
		require.NoError(t, err)
		assert.Equal(t, test.status, status, test)
	}
}

func TestChaosRepeatsWithItsSeedWhateverTheOrder(t *testing.T) {
	t.Parallel()
	const images = 2000
	faults := func(seed uint64, reverse bool) (throttled, lost, twice map[int]bool) {
		s, err := management.New(management.Config{ExpireCredentials: func() int { return 0 },
			Bucket: &bucket{}, Chaos: management.DefaultChaos(seed)})
		require.NoError(t, err)
		throttled, lost, twice = map[int]bool{}, map[int]bool{}, map[int]bool{}
		for n := range images {
			if reverse {
				n = images - 1 - n
			}
			fault := s.Intercept(gateway.Call{ImagePath: fmt.Sprintf("/cards/%d.jpg", n)})
			throttled[n] = fault.Phase == gateway.PhaseBeforeAccept
			lost[n] = fault.Phase == gateway.PhaseAfterCharge
			copies := 0
			s.Deliver(ossfake.Event{Key: fmt.Sprint(n)}, func(ossfake.Event) { copies++ })
			twice[n] = copies == 2
		}
		return throttled, lost, twice
	}
	count := func(struck map[int]bool) (n float64) {
		for _, yes := range struck {
			if yes {
				n++
			}
		}
		return n / images
	}
	throttled, lost, twice := faults(7, false)
	assert.InDelta(t, 0.05, count(throttled), 0.02)
	assert.InDelta(t, 0.01, count(lost), 0.007)
	assert.InDelta(t, 0.05, count(twice), 0.02)
	again, lostAgain, twiceAgain := faults(7, true)
	assert.Equal(t, throttled, again)
	assert.Equal(t, lost, lostAgain)
	assert.Equal(t, twice, twiceAgain)
	other, _, _ := faults(8, false)
	assert.NotEqual(t, throttled, other)
}

func TestChaosStrikesTheFunctionsRequestsOnly(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *management.Config) { c.Chaos = &management.Chaos{Throttle: 1} })
	status, _, err := p.object("PUT", "/cards/a.jpg", "")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	status, _, err = p.object("PUT", "/cards/a.jpg.ocr.json", "token")
	require.NoError(t, err)
	assert.Equal(t, http.StatusServiceUnavailable, status)
}

func TestItIsSafeForManyAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *management.Config) { c.Chaos = management.DefaultChaos(1) })
	p.order(`{"endpoint":"oss","phase":"throttle","nth":11,"times":10}`)
	var group sync.WaitGroup
	var throttled atomic.Int32
	for range 4 {
		group.Go(func() {
			for range 10 {
				if status, _, err := p.object("GET", "/cards/a.jpg", ""); err == nil && status == http.StatusServiceUnavailable {
					throttled.Add(1)
				}
				p.Requests()
				p.Deliver(ossfake.Event{Key: "a"}, func(ossfake.Event) {})
			}
		})
	}
	group.Wait()
	assert.EqualValues(t, 10, throttled.Load())
}
