package systemtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever may upload any key may put something in the claim's place. It delays nobody, costs nothing and is not written.
func TestSomebodysClaimIsNotBelieved(t *testing.T) {
	t.Parallel()
	line := func(members string) string {
		return `{"incarnation":"0123456789abcdef0123456789abcdef","sequence":0,"owner":"0123456789abcdef0123456789abcdef","requestId":"other","retryCount":0,` + members +
			`,"since":"2026-01-01T00:00:00Z","mac":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}` + "\n"
	}
	for name, content := range map[string]string{
		"a lease in the year 9999":     line(`"leaseEnd":"9999-01-01T00:00:00Z","generation":0`),
		"a call that may be paid":      line(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"indeterminate":true,"possibleExtraCharges":1,"paidAgain":true`),
		"a negative count":             line(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"possibleExtraCharges":-7`),
		"a nonce that breaks a header": line(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"nonce":"a\r\nX-Ca-Stage: TEST"`),
		"a document":                   line(`"leaseEnd":"0001-01-01T00:00:00Z","generation":0,"result":{"schemaVersion":1,"status":"recognized","card":{"name":"mallory"}}`),
		"a line without end":           `{"owner":"x"}`,
	} {
		for _, appendable := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", appendable ", appendable), func(t *testing.T) {
				t.Parallel()
				c := start(t)
				event := c.upload("a picture")
				c.putClaim(content, appendable)
				_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
				require.NoError(t, err)
				d := c.document()
				assert.Equal(t, result.Recognized, d.Status)
				assert.Equal(t, card.Name, d.Card.Name)
				assert.Zero(t, d.OCR.PossibleExtraCharges)
				assert.Equal(t, 1, c.gateway.Ledger.Charged())
				assert.Len(t, c.gateway.Ledger.Calls(), 1)
				assert.False(t, c.claimExists())
			})
		}
	}
}

func (c *cloud) putClaim(content string, appendable bool) {
	c.t.Helper()
	var err error
	if appendable {
		_, err = c.bucket.Append(c.t.Context(), key+".ocr.claim", 0, []byte(content))
	} else {
		err = c.bucket.Put(c.t.Context(), key+".ocr.claim", []byte(content), bucket.PutOptions{})
	}
	require.NoError(c.t, err)
}

// Only who knows the API's secret can hold an image up.
func TestAClaimIsSignedWithTheAPIsSecret(t *testing.T) {
	t.Parallel()
	appCode := []string{"OCR_APP_KEY=", "OCR_APP_SECRET=", "OCR_APP_CODE=" + canaries["AppCode"]}
	for name, test := range map[string]struct {
		settings []string
		key      claim.Key
		held     bool
	}{
		"the AppSecret":       {nil, claim.NewKey(canaries["AppSecret"]), true},
		"the AppCode":         {appCode, claim.NewKey(canaries["AppCode"]), true},
		"another secret":      {nil, claim.NewKey("the secret before it was rotated"), false},
		"no secret":           {nil, claim.NewKey(""), false},
		"no key":              {nil, nil, false},
		"the secret as a key": {nil, claim.Key(canaries["AppSecret"]), false},
		"the public AppKey":   {nil, claim.NewKey(canaries["AppKey"]), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, test.settings...)
			event := c.upload("a picture")
			_, err := claim.Acquire(t.Context(), claim.Object{Store: c.bucket, Key: key + ".ocr.claim", Image: bucketName + "/" + key, Auth: test.key},
				claim.Holder{RequestID: "other", LeaseEnd: time.Now().Add(time.Hour)})
			require.NoError(t, err)
			_, err = c.invoke(event, fcfake.Options{RequestID: "r1"})
			if test.held {
				assert.Equal(t, "InProgress", failure(t, err).ErrorType)
				assert.Empty(t, c.gateway.Ledger.Calls())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 1, c.gateway.Ledger.Charged())
			assert.Equal(t, result.Recognized, c.document().Status)
		})
	}
}

func TestAForeignObjectInTheClaimsPlaceIsTheBucketsFault(t *testing.T) {
	t.Parallel()
	for _, appendable := range []bool{true, false} {
		c := start(t)
		event := c.upload("a picture")
		c.putClaim("somebody's own", appendable)
		_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
		assert.Equal(t, "StorageRefused", failure(t, err).ErrorType)
		assert.Contains(t, c.document().Error.Message, "CLAIM_SUFFIX")
		assert.True(t, c.document().Error.Retryable)
		body, _, err := c.bucket.Read(t.Context(), key+".ocr.claim", bucket.ReadOptions{Limit: 100})
		require.NoError(t, err)
		assert.Equal(t, "somebody's own", string(body))
		assert.Empty(t, c.gateway.Ledger.Calls())
		require.NoError(t, c.bucket.Delete(t.Context(), key+".ocr.claim"))
		_, err = c.invoke(event, fcfake.Options{RequestID: "r2"})
		require.NoError(t, err)
		assert.Equal(t, result.Recognized, c.document().Status)
	}
}

// archived makes OSS say that the image is in an archive class.
func archived(request string, next http.HandlerFunc) http.HandlerFunc {
	switch request {
	case "HEAD " + key:
		return func(w http.ResponseWriter, r *http.Request) { next(archiveWriter{w}, r) }
	case "GET " + key:
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>InvalidObjectState</Code></Error>")
		}
	}
	return next
}

type archiveWriter struct{ http.ResponseWriter }

func (w archiveWriter) WriteHeader(status int) {
	w.Header().Set("x-oss-storage-class", "ColdArchive")
	w.ResponseWriter.WriteHeader(status)
}

func TestAnArchivedImageWaitsForItsRestoration(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"url", "auto", "data"} {
		c := start(t, "OCR_IMAGE_SOURCE="+source)
		event := c.upload("a picture")
		c.setIntercept(archived)
		_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
		assert.Equal(t, "ImageArchived", failure(t, err).ErrorType, source)
		assert.True(t, c.document().Error.Retryable)
		assert.Empty(t, c.gateway.Ledger.Calls())
		c.setIntercept(nil)
		_, err = c.invoke(event, fcfake.Options{RequestID: "r2"})
		require.NoError(t, err)
		assert.Equal(t, result.Recognized, c.document().Status, source)
		assert.Equal(t, 1, c.gateway.Ledger.Charged())
	}
}

// After a status below 200 net/http hands over the bare connection, which has no end.
func TestAStatusBelow200FromOSSHoldsUpNothing(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"APPEND", "HEAD", "PUT", "DELETE"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			event := c.upload("a picture")
			ended := make(chan struct{})
			t.Cleanup(func() { close(ended) })
			c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
				if !strings.HasPrefix(request, op+" ") {
					return next
				}
				return switching(ended)
			})
			began := time.Now()
			_, err := c.invoke(event, fcfake.Options{RequestID: "r1", Deadline: began.Add(30 * time.Second)})
			assert.Less(t, time.Since(began), 15*time.Second, "three attempts and their pauses, not the deadline")
			if op == "DELETE" {
				require.NoError(t, err, "the image is settled")
			} else {
				assert.Equal(t, "Unavailable", failure(t, err).ErrorType)
			}
			c.setIntercept(nil)
			_, err = c.invoke(event, fcfake.Options{RequestID: "r1", RetryCount: 1})
			require.NoError(t, err)
			assert.Equal(t, result.Recognized, c.document().Status)
			assert.Equal(t, 1, c.gateway.Ledger.Charged())
		})
	}
}

// switching answers 101 and keeps the connection until the client or the test ends.
func switching(ended <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		gone := make(chan struct{})
		go func() {
			io.Copy(io.Discard, connection)
			close(gone)
		}()
		select {
		case <-gone:
		case <-ended:
		}
	}
}

func TestSIGTERMEndsAProcessThatOSSHoldsUp(t *testing.T) {
	t.Parallel()
	c := start(t)
	event := c.upload("a picture")
	address, process := c.listening()
	ended, reached := make(chan struct{}), make(chan struct{}, 100)
	t.Cleanup(func() { close(ended) })
	c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
		reached <- struct{}{}
		return switching(ended)
	})
	answered := make(chan error, 1)
	go func() {
		_, _, err := post(t, address, event)
		answered <- err
	}()
	<-reached
	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-answered, "the invocation ends by itself")
	exited := make(chan error, 1)
	go func() { exited <- process.Wait() }()
	select {
	case err := <-exited:
		assert.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the process does not end")
	}
}
