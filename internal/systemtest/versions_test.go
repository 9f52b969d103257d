package systemtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startSteppable starts a cloud whose clock can be put forward: OSS tells whole seconds.
func startSteppable(t testing.TB, settings ...string) (c *cloud, step func()) {
	var skew atomic.Int64
	c = startAt(t, func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }, settings...)
	return c, func() { skew.Add(int64(2 * time.Second)) }
}

// onCall has something happen when a call reaches the gateway, before the provider reads the picture.
func (c *cloud) onCall(act func()) {
	var once sync.Once
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
		once.Do(act)
		return gateway.Fault{}
	})
}

// before has something happen before OSS carries out the nth of the function's requests of a kind, after a call if paid.
func (c *cloud) before(request string, paid bool, act func()) {
	var once sync.Once
	c.setIntercept(func(got string, next http.HandlerFunc) http.HandlerFunc {
		if got != request || (paid && len(c.gateway.Ledger.Calls()) == 0) {
			return next
		}
		return func(w http.ResponseWriter, r *http.Request) {
			once.Do(act)
			next(w, r)
		}
	})
}

// The provider fetches what is at the key when it likes, and what it read is nobody's to guess.
func TestADocumentIsAboutTheVersionThatWasRead(t *testing.T) {
	t.Parallel()
	for name, putBack := range map[string]bool{"replaced during the call": false, "replaced and put back during the call": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, step := startSteppable(t)
			event := c.upload("a picture")
			c.onCall(func() {
				step()
				c.upload("another picture")
			})
			if putBack {
				c.before("HEAD "+key, true, func() {
					step()
					c.upload("a picture")
				})
			}
			answer, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
			assert.Equal(t, "ImageReplaced", failure(t, err).ErrorType)
			d := c.document()
			require.NotNil(t, d)
			assert.Equal(t, result.ImageReplaced, d.Error.Code)
			assert.Nil(t, d.Card)
			assert.True(t, d.OCR.Charged, "the call is told")
			c.noCanary(answer, err)
			c.setIntercept(nil)

			o, err := c.bucket.Head(t.Context(), key)
			require.NoError(t, err)
			_, err = c.invoke(event, fcfake.Options{RequestID: "r2"})
			require.NoError(t, err)
			d = c.document()
			assert.Equal(t, result.Recognized, d.Status)
			assert.Equal(t, o.ETag, d.Image.ETag)
			assert.True(t, o.LastModified.Equal(d.Image.LastModified))
			assert.Equal(t, 2, c.gateway.Ledger.Charged(), "once for what was there, and once for what is there")
			calls := c.gateway.Ledger.Calls()
			assert.NotEqual(t, calls[0].Nonce, calls[1].Nonce)
			assert.False(t, c.claimExists())
		})
	}
}

func TestAPictureThatIsReadIsTheVersionThatWasInspected(t *testing.T) {
	t.Parallel()
	c, step := startSteppable(t, "OCR_IMAGE_SOURCE=data")
	event := c.upload("a picture")
	c.before("GET "+key, false, func() {
		step()
		c.upload("another picture")
	})
	_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
	require.NoError(t, err)
	o, err := c.bucket.Head(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, o.ETag, c.document().Image.ETag)
	assert.Equal(t, 1, c.gateway.Ledger.Accepted(), "the version before cost nothing")
}

// First the DELETE takes effect and its answer is lost; then the next version's delivery has its claim, and calls.
func TestARepeatedDeleteRemovesNobodyElsesClaim(t *testing.T) {
	t.Parallel()
	c := start(t, "OCR_TIMEOUT=20s")
	event := c.upload("version 1")
	other := c.process()
	arrived, release := make(chan struct{}), make(chan struct{})
	var second sync.WaitGroup
	var once sync.Once
	c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
		if !strings.HasPrefix(request, "DELETE") {
			return next
		}
		return func(w http.ResponseWriter, r *http.Request) {
			first := false
			once.Do(func() { first = true })
			if !first {
				next(w, r)
				return
			}
			next(discardResponse{w}, r)
			replaced := c.upload("version 2")
			c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
				close(arrived)
				<-release
				return gateway.Fault{}
			})
			second.Go(func() {
				_, err := other.Invoke(c.t.Context(), replaced, fcfake.Options{RequestID: "r2"})
				assert.NoError(t, err)
			})
			<-arrived
			panic(http.ErrAbortHandler)
		}
	})
	_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
	require.NoError(t, err)
	assert.True(t, c.claimExists(), "the second one's")
	_, err = c.invoke(event, fcfake.Options{RequestID: "r3"})
	assert.Equal(t, "InProgress", failure(t, err).ErrorType)
	close(release)
	second.Wait()
	assert.Equal(t, 2, c.gateway.Ledger.Charged(), "two versions")
	assert.Equal(t, result.Recognized, c.document().Status)
	assert.Zero(t, c.document().OCR.PossibleExtraCharges)
	assert.False(t, c.claimExists())
}

func TestAFailureCoversNoDocumentThatWasNotSeen(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"HEAD " + key + ".ocr.json", "APPEND " + key + ".ocr.json"} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			event := c.upload("a picture")
			c.gateway.SetIntercept(gateway.Script(refuse(gateway.ThrottledByAPP)()...))
			paid := &result.Document{SchemaVersion: 1, Status: result.Recognized, Card: &result.Card{IDNumber: "1"}}
			c.before(request, true, func() {
				require.NoError(t, c.bucket.Put(t.Context(), key+".ocr.json", paid.Encode(), bucket.PutOptions{ContentType: result.ContentType}))
			})
			_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
			assert.Equal(t, "Throttled", failure(t, err).ErrorType)
			assert.Equal(t, result.Recognized, c.document().Status)
		})
	}
}

// A tool that restores a bucket may drop what is beside the bytes.
func TestADocumentThatLostItsMetadataSettlesItsImage(t *testing.T) {
	t.Parallel()
	c := start(t)
	event := c.upload("a picture")
	_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
	require.NoError(t, err)
	body, _, err := c.bucket.Read(t.Context(), key+".ocr.json", bucket.ReadOptions{Limit: result.MaxBytes})
	require.NoError(t, err)
	require.NoError(t, c.bucket.Put(t.Context(), key+".ocr.json", body, bucket.PutOptions{ContentType: result.ContentType}))
	answer, err := c.invoke(event, fcfake.Options{RequestID: "r2"})
	require.NoError(t, err)
	assert.Contains(t, string(answer.Payload), "unchanged")
	assert.Len(t, c.gateway.Ledger.Calls(), 1)

	var d result.Document
	require.NoError(t, json.Unmarshal(body, &d))
	assert.Equal(t, *c.document(), d, "and it is as it was")
}
