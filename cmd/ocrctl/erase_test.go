package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/erase"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keysLeft are all keys in the bucket, of any version.
func (c *cloud) keysLeft() (keys []string) {
	for v, err := range c.eraser("").Bucket.Versions(c.t.Context(), "") {
		require.NoError(c.t, err)
		keys = append(keys, v.Key)
	}
	return keys
}

// eraser has the function's secret, another one, or none.
func (c *cloud) eraser(own string) *erase.Eraser {
	opened, err := ossclient.Open(ossclient.Config{Bucket: bucketName, Region: "cn-hangzhou", Endpoint: c.ossURL,
		Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "sandbox", AccessKeySecret: secret})})
	require.NoError(c.t, err)
	e := &erase.Eraser{Bucket: opened, Keys: result.Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}}
	if own != "" {
		e.FenceWith(c.bucket, own)
	}
	return e
}

// hold takes the claim of an image as an invocation of the function does.
func (c *cloud) hold(key, secret string, lease time.Duration) *claim.Claim {
	held, err := claim.Acquire(c.t.Context(), claim.Object{Store: c.bucket, Key: key + ".ocr.claim", Image: bucketName + "/" + key, Auth: claim.NewKey(secret)},
		claim.Holder{RequestID: "1-running", LeaseEnd: time.Now().Add(lease)})
	require.NoError(c.t, err)
	return held
}

func (c *cloud) index(key string) string {
	sum := sha256.Sum256([]byte(key))
	name := result.IndexPrefix + hex.EncodeToString(sum[:]) + ".ocr.json"
	body, err := json.Marshal(result.IndexEntry{Key: key, ETag: "E"})
	require.NoError(c.t, err)
	require.NoError(c.t, c.bucket.Put(c.t.Context(), name, body, bucket.PutOptions{ContentType: result.ContentType}))
	return name
}

func (c *cloud) recognizeAll() {
	require.Equal(c.t, 0, c.run("backfill", "--all").code)
	c.work.Wait()
}

func TestEraseIsADryRunUnlessToldOtherwise(t *testing.T) {
	c := start(t)
	c.put("2026/a.jpg", "a picture")
	c.recognizeAll()
	before := c.keysLeft()
	c.seen()
	r := c.run("erase", "2026/a.jpg")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "2026/a.jpg: versions of picture 1, document 1, review 0, claim 0")
	assert.Contains(t, r.stderr, "--yes erases 2 objects and versions of 1 images")
	assert.Equal(t, before, c.keysLeft())
	for _, request := range c.seen() {
		assert.True(t, strings.HasPrefix(request, "GET ") || strings.HasPrefix(request, "HEAD "), request)
	}
}

func TestEraseRemovesEverythingOfAnImageAndNothingOfOthers(t *testing.T) {
	for _, versioning := range []string{"", "Enabled", "Suspended"} {
		t.Run(versioning, func(t *testing.T) {
			c := start(t)
			if versioning != "" {
				require.NoError(t, c.files.SetVersioning(bucketName, "Enabled"))
			}
			c.put("a.jpg", "an older picture")
			c.put("a.jpg", "a picture")
			c.put("a.jpg2.jpg", "another")
			c.recognizeAll()
			if versioning != "" {
				require.NoError(t, c.files.SetVersioning(bucketName, versioning))
			}
			document, _, err := c.bucket.Read(t.Context(), "a.jpg.ocr.json", bucket.ReadOptions{Limit: 1 << 20})
			require.NoError(t, err)
			sum := sha256.Sum256(document)
			require.NoError(t, c.bucket.Put(t.Context(), "a.jpg"+result.ReviewSuffix, []byte(`{"card":{}}`), bucket.PutOptions{ContentType: result.ContentType}))
			mine, other := c.index("a.jpg"), c.index("a.jpg2.jpg")
			require.NoError(t, c.hold("a.jpg", appSecret, time.Minute).Return(t.Context()))

			r := c.run("erase", "a.jpg", "--yes", "-o", "json")
			require.Equal(t, 0, r.code, r.stdout+r.stderr)
			assert.Contains(t, r.stdout, hex.EncodeToString(sum[:]))
			assert.Contains(t, r.stdout, `"fenced":true`)
			assert.Contains(t, r.stdout, `"whole":true`)
			for _, personal := range []string{"a.jpg", card.Name, card.IDNumber} {
				assert.NotContains(t, r.stdout, personal, "hashes only")
			}
			left := c.keysLeft()
			for _, gone := range []string{"a.jpg", "a.jpg.ocr.json", "a.jpg.ocr.claim", "a.jpg" + result.ReviewSuffix, mine} {
				assert.NotContains(t, left, gone)
			}
			for _, kept := range []string{"a.jpg2.jpg", "a.jpg2.jpg.ocr.json", other} {
				assert.Contains(t, left, kept)
			}
		})
	}
}

func TestEraseLeavesAnImageThatIsBeingWorkedOn(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	held := c.hold("a.jpg", appSecret, 3*time.Minute)
	before := c.keysLeft()
	r := c.run("erase", "a.jpg", "--yes")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "until "+held.LeaseEnd().Format(time.RFC3339))
	assert.Contains(t, r.stderr, "--wait")
	assert.Empty(t, r.stdout, "no receipt")
	assert.Equal(t, before, c.keysLeft())

	require.NoError(t, held.Release(t.Context()))
	assert.Equal(t, 0, c.run("erase", "a.jpg", "--yes").code)
	assert.Empty(t, c.keysLeft())
}

func TestEraseWaitsForTheLease(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	c.hold("a.jpg", appSecret, 1500*time.Millisecond)
	r := c.run("erase", "a.jpg", "--yes", "--wait")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "waiting for an invocation")
	assert.Empty(t, c.keysLeft())
}

func TestEraseWithoutTheSecretBelievesTheLeaseOfTheClaim(t *testing.T) {
	c := start(t)
	for _, wrong := range []string{"", "canary-of-another-function"} {
		c.put("a.jpg", "a picture")
		held := c.hold("a.jpg", appSecret, time.Minute)
		e := c.eraser(wrong)
		_, err := e.Erase(t.Context(), "a.jpg")
		require.ErrorContains(t, err, "an invocation may be at work", "secret %q", wrong)
		require.NoError(t, held.Return(t.Context()))
		receipt, err := e.Erase(t.Context(), "a.jpg")
		require.NoError(t, err, "secret %q", wrong)
		assert.False(t, receipt.Fenced)
		assert.Empty(t, c.keysLeft())
	}
}

// The function meets the claim of erase, pays nothing and writes nothing.
func TestNothingIsPaidWhileAnImageIsErased(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	fence := c.hold("a.jpg", appSecret, time.Minute)
	_, err := c.InvokeAsync([]byte(`{"events":[{"eventName":"ObjectCreated:PutObject","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":"a.jpg"}}}]}`), fresh("x"))
	require.NoError(t, err)
	c.work.Wait()
	assert.Zero(t, c.gateway.Ledger.Charged())
	require.NoError(t, fence.Release(t.Context()))
}

func TestErasingByPrefixTakesDocumentsWithoutAPictureToo(t *testing.T) {
	c := start(t)
	for _, key := range []string{"2019/a.jpg", "2019/b.jpg", "2020/c.jpg"} {
		c.put(key, "a picture")
	}
	c.recognizeAll()
	require.NoError(t, c.bucket.Delete(t.Context(), "2019/b.jpg"))
	require.NoError(t, c.bucket.Put(t.Context(), "2019/notes.txt", []byte("x"), bucket.PutOptions{ContentType: "text/plain"}))
	r := c.run("erase", "--prefix", "2019/", "--yes")
	require.Equal(t, 0, r.code, r.stderr)
	assert.ElementsMatch(t, []string{"2019/notes.txt", "2020/c.jpg", "2020/c.jpg.ocr.json"}, c.keysLeft())
}

func TestErasingByNumberReadsItFromStandardInputOnly(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	c.put("none.jpg", "no card")
	c.put("in-key-11010519491231002x.jpg", "no card")
	c.recognizeAll()
	ask := func(stdin string, args ...string) runResult {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"erase", "--sandbox=" + c.dir}, args...), strings.NewReader(stdin), &stdout, &stderr)
		assert.NotContains(t, stdout.String()+stderr.String(), "11010519491231002", "%v", args)
		return runResult{code, stdout.String(), stderr.String()}
	}
	assert.Equal(t, 2, ask("", "--id-number", card.IDNumber).code, "an argument")
	assert.Equal(t, 2, ask("\n", "--id-number", "-").code, "no number")
	r := ask("110105194912310021\nno number 11010519491231002\n", "--id-number", "-")
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.stderr, "line 2")

	r = ask("110105199001011234\n", "--id-number", "-", "--yes")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "erased 0 objects")
	r = ask(" 11010519491231002x \n", "--id-number", "-", "--yes")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.ElementsMatch(t, []string{"none.jpg", "none.jpg.ocr.json"}, c.keysLeft())
}

func TestEraseRefusesWhatIsNoImageAndTellsWhatItMayNotRemove(t *testing.T) {
	c := start(t)
	for _, args := range [][]string{{}, {"a.jpg.ocr.json"}, {"notes.txt"}, {"a.jpg", "--prefix", "a"}, {result.IndexPrefix + "x.ocr.json"}} {
		assert.Equal(t, 2, c.run(append([]string{"erase"}, args...)...).code, args)
	}
	c.put("a.jpg", "a picture")
	c.put("b.jpg", "a picture")
	c.refuse(map[string]string{"DELETE a.jpg": "AccessDenied"})
	r := c.run("erase", "a.jpg", "b.jpg", "--yes")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "AccessDenied")
	assert.Contains(t, r.stderr, "of 1 images; 1 are left")
	c.refuse(nil)
	assert.Equal(t, 0, c.run("erase", "a.jpg", "--yes").code, "the claim is not left locked")
	assert.Empty(t, c.keysLeft())
}
