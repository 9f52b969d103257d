package processor_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unsigned is a line of the claim's form, as anybody can write it who knows the form.
func unsigned(members string) string {
	return `{"incarnation":"0123456789abcdef0123456789abcdef","sequence":0,"owner":"0123456789abcdef0123456789abcdef","requestId":"other","retryCount":0,` + members + `}` + "\n"
}

// Whoever may upload any key may put something in the claim's place. It delays nobody, costs nothing and is not written.
func TestSomebodysClaimIsNotBelieved(t *testing.T) {
	const since = `"since":"2000-01-01T00:00:00Z"`
	for name, content := range map[string]string{
		"a lease in the year 9999":      unsigned(`"leaseEnd":"9999-01-01T00:00:00Z","generation":0,` + since),
		"a live lease":                  unsigned(`"leaseEnd":"2000-01-01T00:30:00Z","generation":0,` + since),
		"a call that may be paid":       unsigned(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"indeterminate":true,"possibleExtraCharges":1,"paidAgain":true,` + since),
		"a negative count":              unsigned(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"possibleExtraCharges":-7,` + since),
		"a nonce that breaks a header":  unsigned(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"nonce":"a\r\nX-Ca-Stage: TEST",` + since),
		"a document":                    unsigned(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,` + since + `,"result":{"schemaVersion":1,"status":"recognized","card":{"name":"mallory"}}`),
		"an empty MAC":                  unsigned(`"leaseEnd":"9999-01-01T00:00:00Z","generation":0,` + since + `,"mac":""`),
		"a claim of an older release":   `{"owner":"x","requestId":"other","retryCount":0,"leaseEnd":"9999-01-01T00:00:00Z","etag":"","nonce":"00000000-0000-4000-8000-000000000000","issuedAt":"2026-01-01T00:00:00Z"}` + "\n",
		"a line without end":            `{"owner":"x"}`,
		"many lines":                    strings.Repeat(unsigned(`"leaseEnd":"9999-01-01T00:00:00Z","generation":0,`+since), 100),
		"a type that does not fit":      `{"owner":"x"}` + "\n" + `{"owner":7,"leaseEnd":true}` + "\n",
		"a time that is none in a line": `{"owner":"x"}` + "\n" + `{"owner":"x","leaseEnd":"tomorrow"}` + "\n",
	} {
		for _, appendable := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", appendable ", appendable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := ocrtest.NewFixture(t)
					if appendable {
						f.AppendClaim(content)
					} else {
						require.NoError(t, f.Bucket.Put(t.Context(), ocrtest.ClaimKey, []byte(content), bucket.PutOptions{}))
					}
					o := f.Process(ocrtest.First("r1"))
					require.False(t, o.Retry(), o.Err)
					d := f.Document()
					assert.Equal(t, result.Recognized, d.Status)
					assert.Equal(t, "canary-name", d.Card.Name)
					assert.Zero(t, d.OCR.PossibleExtraCharges)
					assert.Equal(t, 1, f.OCR.Charged())
					assert.Len(t, f.OCR.Requests(), 1)
					assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
					assert.Contains(t, f.LogLine("claim replaced")["reason"], "not written with this function's key")
				})
			})
		}
	}
}

// From then on the claim is one, and locks and remembers as always.
func TestAClaimThatBeganInSomebodysObjectRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge)
		f.AppendClaim(`{"owner":"x"}`)
		f.Options.MaxAttempts = 1
		require.True(t, f.Process(ocrtest.First("r1")).Retry())
		time.Sleep(time.Minute)
		f.Options.MaxAttempts = 3
		f.Restart()
		o := f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
		assert.Equal(t, 2, f.OCR.Charged())
	})
}

// Only who knows the API's secret writes a line that is believed, and a secret that was rotated locks nothing.
func TestARotatedSecretLocksNoImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.HoldClaim("r1")
		f.Options.ClaimKey = claim.NewKey("the next secret")
		o := f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 1, f.OCR.Charged())
	})
}

// Both instances send the nonce of the version, whichever secret they have.
func TestTwoInstancesWithTwoSecretsPayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		duringCall(f, func() {
			f.OCR.OnCall = nil
			f.Options.ClaimKey = claim.NewKey("the next secret")
			second := f.StartProcessor().Process(t.Context(), ocrtest.First("r2"), f.Request())
			require.False(t, second.Retry(), second.Err)
		})
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		assert.Equal(t, result.InProgress, o.Err.Code)
		assert.Equal(t, 1, f.OCR.Accepted())
		assert.Equal(t, "r2", f.Document().RequestID)
	})
}

// A saved document is written if it is about this very image, whoever signed for it.
func TestASavedDocumentIsOfThisVeryImage(t *testing.T) {
	for name, change := range map[string]func(*result.Document){
		"of another key":         func(d *result.Document) { d.Image.Key = "2026/b.jpg" },
		"of another bucket":      func(d *result.Document) { d.Image.Bucket = "other" },
		"of another version":     func(d *result.Document) { d.Image.ETag = "0CC175B9C0F1B6A831C399E269772661" },
		"of no known status":     func(d *result.Document) { d.Status = "done" },
		"of no version of these": func(d *result.Document) { d.SchemaVersion = 0 },
		"as it is":               func(*result.Document) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				d := &result.Document{SchemaVersion: 1, Status: result.Recognized, Image: f.Request().Image, Card: &result.Card{Name: "saved"}}
				change(d)
				saved, err := json.Marshal(d)
				require.NoError(t, err)
				c := f.HoldClaim("r1")
				require.NoError(t, c.SaveAndRelease(t.Context(), f.Version(), c.Call(f.Version()), true, saved))
				o := f.Process(ocrtest.First("r2"))
				require.False(t, o.Retry(), o.Err)
				written := name == "as it is"
				assert.Equal(t, written, f.Document().Card.Name == "saved")
				assert.Equal(t, !written, f.OCR.Charged() == 1)
			})
		})
	}
}
