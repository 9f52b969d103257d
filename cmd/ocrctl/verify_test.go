package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/ctl/verify"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ossfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verify runs the command, and returns its report and the verdicts.
func (c *cloud) verify(args ...string) (verify.Report, map[string]verify.Finding) {
	r := c.run(append([]string{"verify", "-o", "json", "--wait", "5s"}, args...)...)
	var report verify.Report
	require.NoError(c.t, json.Unmarshal([]byte(r.stdout), &report), r.stdout+r.stderr)
	found, fails := make(map[string]verify.Finding), false
	for _, f := range report.Findings {
		assert.NotContains(c.t, found, f.ID, "each assumption once")
		found[f.ID] = f
		fails = fails || f.Verdict == verify.Fails
		assert.Equal(c.t, f.Verdict == verify.Fails, f.Follows != "", "%+v", f)
	}
	assert.Len(c.t, found, len(verify.Assumptions))
	assert.Equal(c.t, fails, r.code == exitFailed, r.stderr)
	for _, secret := range []string{bucketName + "/", "100000001", "1234567890123456", card.Name, card.IDNumber, "ocrctl-verify-", "127.0.0.1"} {
		assert.NotContains(c.t, r.stdout, secret, "the report names nobody and nothing")
	}
	return report, found
}

func verdicts(found map[string]verify.Finding, v verify.Verdict) (ids []string) {
	for _, a := range verify.Assumptions {
		if found[a.ID].Verdict == v {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

func TestVerifyFindsTheSandboxAsAssumedAndLeavesNothing(t *testing.T) {
	c := start(t)
	c.delivers.Store(true)
	c.put("mine.txt", "mine")
	report, found := c.verify("--max-charge", "3")
	assert.Empty(t, verdicts(found, verify.Fails), "%+v", found)
	assert.Equal(t, []string{"append-versioned", "append-encrypted", "append-archive", "nonce-appcode", "refused-free-meter", "eventbridge-form", "caller-headers"}, verdicts(found, verify.NotTested))
	assert.Equal(t, []string{"mine.txt"}, c.keysLeft())
	assert.Equal(t, 3, c.gateway.Ledger.Charged())
	assert.Equal(t, c.gateway.Ledger.Charged(), report.Calls.Charged)
	assert.Len(t, c.gateway.Ledger.Calls(), report.Calls.Made)
	assert.Equal(t, "signature", report.Setup.Auth)
	assert.Equal(t, "cn-hangzhou", report.Setup.Region)
}

func TestVerifyPaysNoMoreThanItMay(t *testing.T) {
	for limit, untested := range map[string][]string{
		"0": {"answer-shape", "call-time", "provider-fetches", "delivery", "duplicate-free"},
		"1": {"provider-fetches", "delivery", "duplicate-free"},
		"2": {"delivery", "duplicate-free"},
	} {
		c := start(t)
		c.delivers.Store(true)
		report, found := c.verify("--max-charge", limit)
		assert.Subset(t, verdicts(found, verify.NotTested), untested, limit)
		assert.Empty(t, verdicts(found, verify.Fails), limit)
		assert.Equal(t, limit, string(rune('0'+c.gateway.Ledger.Charged())))
		assert.Equal(t, c.gateway.Ledger.Charged(), report.Calls.Charged)
		assert.Empty(t, c.keysLeft())
	}
}

func TestVerifyTriesWhatTheBucketIs(t *testing.T) {
	for id, change := range map[string]func(*ossfake.BucketSettings){
		"append-versioned": func(b *ossfake.BucketSettings) { b.Versioning = "Enabled" },
		"append-encrypted": func(b *ossfake.BucketSettings) { b.Encryption.Algorithm = "AES256" },
		"append-archive":   func(b *ossfake.BucketSettings) { b.StorageClass = "Archive" },
	} {
		c := start(t)
		require.NoError(t, c.files.ChangeBucket(bucketName, change))
		_, found := c.verify()
		assert.Equal(t, verify.Holds, found[id].Verdict, "%+v", found[id])
		assert.Equal(t, verify.Holds, found["nothing-left"].Verdict)
		assert.Empty(t, c.keysLeft(), "old versions, too")
	}
}

// header changes the headers of an answer.
type header struct {
	http.ResponseWriter
	change func(http.Header)
}

func (h header) WriteHeader(status int) { h.change(h.Header()); h.ResponseWriter.WriteHeader(status) }
func (h header) Write(p []byte) (int, error) {
	h.change(h.Header())
	return h.ResponseWriter.Write(p)
}

// spoilOSS answers the requests that match with a status and headers instead of OSS.
func (c *cloud) spoilOSS(matches func(*http.Request) bool, status int, headers ...string) {
	spoil := func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if !matches(r) {
			return w
		}
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		return nil
	}
	c.spoil.Store(&spoil)
}

func appends(r *http.Request) bool { return r.URL.Query().Has("append") }

func TestEachAssumptionThatIsFalseIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*cloud)
		id    string
		args  []string
	}{
		"every append at 0 succeeds": {id: "append-creates-once", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool { return appends(r) && r.URL.Query().Get("position") == "0" }, 200, "x-oss-next-append-position", "9")
		}},
		"every append at the length succeeds": {id: "append-continues-once", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool { return appends(r) && r.URL.Query().Get("position") == "9" }, 200, "x-oss-next-append-position", "18")
		}},
		"no CRC": {id: "append-crc", spoil: func(c *cloud) {
			spoil := func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
				if appends(r) {
					return header{w, func(h http.Header) { h.Del("x-oss-hash-crc64ecma") }}
				}
				return w
			}
			c.spoil.Store(&spoil)
		}},
		"a retention policy": {id: "nothing-left", spoil: func(c *cloud) {
			require.NoError(c.t, c.files.ChangeBucket(bucketName, func(b *ossfake.BucketSettings) { b.RetentionDays = 1 }))
		}},
		"an own KMS key": {id: "append-encrypted", spoil: func(c *cloud) {
			require.NoError(c.t, c.files.ChangeBucket(bucketName, func(b *ossfake.BucketSettings) {
				b.Encryption = ossfake.Encryption{Algorithm: "KMS", KMSKeyID: "k"}
			}))
		}},
		"a forbidden HEAD": {id: "head-missing", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool {
				return r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/nothing")
			}, 403, "x-oss-ec", "0003-00000001")
		}},
		"a forbidden HEAD of the function": {id: "head-missing-role", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool {
				return r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/nothing.jpg")
			}, 403)
		}},
		"another class": {id: "class-standard", spoil: func(c *cloud) {
			spoil := func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
				return header{w, func(h http.Header) { h.Set("x-oss-storage-class", "IA") }}
			}
			c.spoil.Store(&spoil)
		}},
		"one ETag": {id: "etag-changes", spoil: func(c *cloud) {
			spoil := func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
				if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/object") {
					return header{w, func(h http.Header) { h["ETag"] = []string{`"0"`} }}
				}
				return w
			}
			c.spoil.Store(&spoil)
		}},
		"a DELETE of nothing fails": {id: "delete-missing", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool {
				return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/nothing")
			}, 404)
		}},
		"no signed URLs": {id: "signed-url", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool {
				return r.URL.Query().Has("x-oss-signature") && !r.URL.Query().Has("x-oss-process")
			}, 403)
		}},
		"no processing": {id: "signed-process", spoil: func(c *cloud) {
			c.spoilOSS(func(r *http.Request) bool { return r.URL.Query().Has("x-oss-process") }, 400)
		}},
		"every key is good": {id: "signature-refused", spoil: func(c *cloud) {
			c.answer(func(call gateway.Call) bool { return call.Nonce != "" }, rejected, false)
		}},
		"every time is good": {id: "clock-refused", spoil: func(c *cloud) {
			c.answer(func(call gateway.Call) bool { return call.Seq == 2 }, rejected, false)
		}},
		"nonces are not kept": {id: "nonce-signature", spoil: func(c *cloud) {
			c.answer(func(call gateway.Call) bool { return call.Seq == 4 }, rejected, false)
		}},
		"refused calls are charged": {id: "refused-free", spoil: func(c *cloud) {
			c.answer(func(call gateway.Call) bool { return call.Seq == 3 }, strings.Replace(rejected, `"showapi_fee_num":0`, `"showapi_fee_num":1`, 1), true)
		}},
		"another answer": {id: "answer-shape", args: []string{"--max-charge", "1"}, spoil: func(c *cloud) {
			c.answer(func(call gateway.Call) bool { return call.Seq == 5 }, `{"code":1}`, true)
		}},
		"a provider that fetches nothing": {id: "provider-fetches", args: []string{"--max-charge", "2"}, spoil: func(c *cloud) {
			c.answer(func(call gateway.Call) bool { return call.Source == "url" }, rejected, false)
		}},
		"no deliveries": {id: "delivery", args: []string{"--max-charge", "3"}, spoil: func(c *cloud) { c.delivers.Store(false) }},
		"a duplicate that is worked on": {id: "duplicate-free", args: []string{"--max-charge", "3"}, spoil: func(c *cloud) {
			c.fixed.Store(`{"images":[{"status":"recognized"}]}`)
		}},
		"a caller who passes for the platform": {id: "caller-headers", spoil: func(*cloud) {}, args: []string{"--trigger-url", "TRIGGER"}},
	} {
		c := start(t)
		c.delivers.Store(true)
		test.spoil(c)
		for i, arg := range test.args {
			if arg == "TRIGGER" {
				test.args[i] = c.httpTrigger(`{"images":[]}`, 200)
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := c.verify(test.args...)
			assert.Equal(t, verify.Fails, found[test.id].Verdict, "%+v", found[test.id])
		})
	}
}

func TestCallersWhoStayCallers(t *testing.T) {
	for status, want := range map[int]verify.Verdict{404: verify.Holds, 401: verify.NotTested, 403: verify.NotTested} {
		c := start(t)
		_, found := c.verify("--trigger-url", c.httpTrigger(`{"code":"BadRequest"}`, status))
		assert.Equal(t, want, found["caller-headers"].Verdict, status)
	}
}

func TestTheDocumentListsEveryAssumption(t *testing.T) {
	for name, locale := range map[string]string{"../../docs/assumptions.md": "C", "../../docs/assumptions.zh-CN.md": chineseLocale} {
		speak(t, locale)
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var listed []string
		for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
			listed = append(listed, row[1])
		}
		var want []string
		for _, a := range verify.Assumptions {
			want = append(want, a.ID)
			assert.Contains(t, string(text), "| `"+a.ID+"` | "+message.Text(a.Says)+" | "+message.Text(a.Source)+" | ", "the row of "+a.ID)
			assert.Contains(t, string(text), "| "+message.Text(a.Follows)+" |")
		}
		assert.Equal(t, want, listed, name)
	}
}

// rejected is the provider's answer about no picture.
const rejected = `{"showapi_res_error":"","showapi_res_id":"6001","showapi_res_code":0,"showapi_fee_num":0,"showapi_res_body":{"ret_code":-1,"remark":"错误的 imgData","showapi_fee_code":-1}}`

// answer has the gateway answer the calls that match for the provider, whoever makes them.
func (c *cloud) answer(matches func(gateway.Call) bool, body string, charge bool) {
	c.gateway.SetIntercept(func(call gateway.Call) gateway.Fault {
		if !matches(call) {
			return gateway.Fault{}
		}
		return gateway.Fault{Phase: gateway.PhaseArrival, Status: 200, Body: []byte(body), Charge: charge}
	})
}

// httpTrigger is an HTTP trigger that always gives the same answer.
func (c *cloud) httpTrigger(body string, status int) string {
	u, err := url.Parse(c.ossURL)
	require.NoError(c.t, err)
	spoil := func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if !strings.HasPrefix(r.URL.Path, "/trigger/") {
			return w
		}
		assert.Equal(c.t, "/invoke", r.Header.Get("x-fc-control-path"))
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // a test
		return nil
	}
	c.spoil.Store(&spoil)
	return u.String() + "/trigger"
}
