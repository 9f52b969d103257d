package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cloud answers each path with a status and a body.
type cloud map[string]struct {
	status int
	body   string
}

func (c cloud) answer(path string, status int, body string) cloud {
	c[path] = struct {
		status int
		body   string
	}{status, body}
	return c
}

func (c cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := c[r.URL.Path]
	if !ok {
		a.status = http.StatusNotFound
	}
	w.WriteHeader(a.status)
	w.Write([]byte(a.body)) //nolint:errcheck // a test
}

// patient is one whose services are all played by c.
func patient(t *testing.T, c cloud) Target {
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	conf, err := config.Parse([]string{"OCR_APP_CODE=canary", "OCR_ENDPOINT=" + server.URL + "/ocrIdCard"})
	require.NoError(t, err)
	key := credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "canary"})
	bucket, err := ossclient.Open(ossclient.Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: server.URL, Credentials: key})
	require.NoError(t, err)
	return Target{Config: conf, Bucket: bucket, Function: &fcclient.Client{Endpoint: server.URL, Function: "f", Credentials: key, Sleep: func(context.Context, time.Duration) error { return nil }}}
}

func examine(t *testing.T, p Target) map[string]Finding {
	found := make(map[string]Finding)
	p.Run(t.Context(), func(f Finding) {
		found[string(f.Check)] = f
		assert.Equal(t, f.Result == Warning || f.Result == Failure, f.Fix != "", "a fix for each finding, and only for those: %+v", f)
		assert.NotContains(t, f.Detail+f.Fix, "canary")
	})
	return found
}

func TestAnInterruptedCheckFindsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := patient(t, cloud{})
	p.HTTP = &http.Client{Transport: cancelling{cancel}}
	var found []message.Key
	p.Run(ctx, func(f Finding) { found = append(found, f.Check) })
	assert.Equal(t, []message.Key{"configuration", "function", "variables", "OCR address"}, found, "the check of the clock is the one that was interrupted")
}

// cancelling is Ctrl-C during a request.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	c.cancel()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestEventBridgeFiltersAreRead(t *testing.T) {
	bridge := func(pattern string) string {
		config, err := json.Marshal(map[string]string{"eventRuleFilterPattern": pattern})
		require.NoError(t, err)
		list, err := json.Marshal(map[string]any{"triggers": []map[string]string{{"triggerName": "e", "triggerType": "eventbridge", "triggerConfig": string(config)}}})
		require.NoError(t, err)
		return string(list)
	}
	for pattern, want := range map[string]Result{
		`{"data":{"oss":{"object":{"key":[{"suffix":".jpg"},{"suffix":".JPG"}]}}}}`: OK,
		`{"data":{"oss":{"object":{"key":[{"suffix":".jpg"}]}}}}`:                   Warning,
		`{"source":["acs.oss"]}`: OK,
	} {
		p := patient(t, cloud{}.answer("/2023-03-30/functions/f/triggers", 200, bridge(pattern)))
		p.Config.ImageSuffixes = []string{".jpg"}
		found := examine(t, p)
		assert.Equal(t, want, found["triggers"].Result, "%s: %+v", pattern, found["triggers"])
	}
}

func TestRefusedCredentialsAreToldApart(t *testing.T) {
	for code, fix := range map[string]message.Key{
		"SecurityTokenExpired": renew, "InvalidSecurityToken": renew, "RequestTimeTooSkewed": setClock,
		"InvalidAccessKeyId": correct, "SignatureDoesNotMatch": correct, "AccessDenied": "allow the RAM user or role oss:ListObjects",
	} {
		found := examine(t, patient(t, cloud{}.answer("/cards/", 403, "<Error><Code>"+code+"</Code></Error>")))
		assert.Equal(t, Failure, found["bucket"].Result, code)
		assert.Contains(t, found["bucket"].Fix, string(fix), code)
	}
	found := examine(t, patient(t, cloud{}.answer("/2023-03-30/functions/f", 403, `{"Code":"AccessDenied","Message":"canary"}`)))
	assert.Contains(t, found["function"].Fix, "fc:GetFunction")
	for code, fix := range map[string]message.Key{
		"InvalidSecurityToken.Expired": renew, "InvalidTimeStamp.Expired": setClock, "InvalidAccessKeyId.NotFound": correct,
		"SignatureDoesNotMatch": correct,
	} {
		found := examine(t, patient(t, cloud{}.answer("/2023-03-30/functions/f", 400, `{"Code":"`+code+`"}`)))
		assert.Equal(t, Failure, found["function"].Result, code)
		assert.EqualValues(t, fix, found["function"].Fix, code)
	}
}

// Programs read the names of checks and their results; people read Title.
func TestFindingsNameTheirCheckAlikeInEveryLanguage(t *testing.T) {
	p := patient(t, cloud{})
	english := examine(t, p)
	message.Use(message.Chinese)
	defer message.Use(message.English)
	chinese := examine(t, p)
	assert.Len(t, chinese, len(english))
	for check, f := range english {
		assert.Equal(t, f.Result, chinese[check].Result, check)
		assert.Equal(t, message.Text(f.Check), f.Title())
	}
}

func TestNewAccountsAreToldOfTheCustomDomain(t *testing.T) {
	forbidden := `<Error><Code>PublicEndpointForbidden</Code><EC>0048-00000401</EC></Error>`
	found := examine(t, patient(t, cloud{}.answer("/cards/", 400, forbidden).answer("/cards/ocrctl-doctor-there-is-no-such-object", 400, forbidden)))
	assert.Equal(t, Failure, found["signed URL"].Result)
	assert.Contains(t, found["signed URL"].Fix, "OSS_PUBLIC_CNAME")
	assert.Contains(t, found["bucket"].Fix, "OSS_PUBLIC_CNAME")
	p := patient(t, cloud{})
	p.Config.ImageSource = config.Data
	assert.Equal(t, OK, examine(t, p)["signed URL"].Result)
}

func TestAClockThatIsOffIsFound(t *testing.T) {
	for off, want := range map[time.Duration]Result{0: OK, 5 * time.Minute: Warning, -20 * time.Minute: Failure} {
		p := patient(t, cloud{})
		p.Now = func() time.Time { return time.Now().Add(off) }
		assert.Equal(t, want, examine(t, p)["clock"].Result, off)
	}
}

func TestAnAddressThatDoesNotAnswerIsFound(t *testing.T) {
	p := patient(t, cloud{})
	p.Config.Endpoint = "http://127.0.0.1:1/ocrIdCard"
	found := examine(t, p)
	assert.Equal(t, Failure, found["OCR address"].Result)
	assert.Equal(t, Failure, found["OCR key"].Result)
	p.Bucket, p.Function = nil, nil
	found = examine(t, p)
	for _, check := range []string{"bucket", "versioning", "signed URL", "function", "triggers"} {
		assert.Equal(t, Skipped, found[check].Result)
	}
}
