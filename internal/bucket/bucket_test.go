package bucket_test

import (
	"context"
	"fmt"
	"hash/crc64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"
	"fc-idcard-ocr/internal/sandbox/ossfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var credentials = bucket.Credentials{AccessKeyID: "STS.key", AccessKeySecret: "canary-secret", SecurityToken: "canary-token"}

func TestAdapterConforms(t *testing.T) {
	for _, versioning := range []bool{false, true} {
		t.Run(fmt.Sprint("versioning ", versioning), func(t *testing.T) {
			server, err := ossfake.New(ossfake.Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{"cards"}, Versioning: versioning,
				Keys: ossfake.NewKeyring(ossfake.Credentials{AccessKeyID: credentials.AccessKeyID, AccessKeySecret: credentials.AccessKeySecret, SecurityToken: credentials.SecurityToken})})
			require.NoError(t, err)
			buckettest.RunConformance(t, open(t, server), versioning)
		})
	}
}

// open returns a bucket over a server of its own.
func open(t *testing.T, h http.Handler) *bucket.Bucket {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	b, err := bucket.New(bucket.Config{Endpoint: server.URL, PublicEndpoint: server.URL}).Open("cards", "cn-hangzhou", credentials, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return b
}

func TestSignedURLs(t *testing.T) {
	for name, test := range map[string]struct {
		config bucket.Config
		region string
		want   string
	}{
		"default":       {bucket.Config{}, "cn-hangzhou", "https://cards.oss-cn-hangzhou.aliyuncs.com/dir%2Fa%20b.jpg?"},
		"oss- region":   {bucket.Config{}, "oss-cn-beijing", "https://cards.oss-cn-beijing.aliyuncs.com/dir%2Fa%20b.jpg?"},
		"custom domain": {bucket.Config{PublicEndpoint: "https://img.example.com", PublicCNAME: true}, "cn-hangzhou", "https://img.example.com/dir%2Fa%20b.jpg?"},
		"loopback name": {bucket.Config{PublicEndpoint: "http://localhost:9000"}, "cn-hangzhou", "http://localhost:9000/cards/dir%2Fa%20b.jpg?"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the SDK looks at the clock twice
				b, err := bucket.New(test.config).Open("cards", test.region, credentials, slog.Default())
				require.NoError(t, err)
				signed, err := b.SignURL("dir/a b.jpg", "image/resize,l_2048/format,jpg", "", 5*time.Minute)
				require.NoError(t, err)
				assert.Contains(t, signed, test.want)
				u, err := url.Parse(signed)
				require.NoError(t, err)
				assert.Equal(t, "300", u.Query().Get("x-oss-expires"))
				assert.Equal(t, "OSS4-HMAC-SHA256", u.Query().Get("x-oss-signature-version"))
				assert.Equal(t, "canary-token", u.Query().Get("x-oss-security-token"))
				assert.Equal(t, "image/resize,l_2048/format,jpg", u.Query().Get("x-oss-process"))
				assert.Contains(t, u.Query().Get("x-oss-credential"), "/"+strings.TrimPrefix(test.region, "oss-")+"/oss/")
			})
		})
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	store := bucket.New(bucket.Config{})
	for name, open := range map[string]func() (*bucket.Bucket, error){
		"region":      func() (*bucket.Bucket, error) { return store.Open("cards", "evil.example/", credentials, nil) },
		"no region":   func() (*bucket.Bucket, error) { return store.Open("cards", "", credentials, nil) },
		"credentials": func() (*bucket.Bucket, error) { return store.Open("cards", "cn-hangzhou", bucket.Credentials{}, nil) },
		"bucket name": func() (*bucket.Bucket, error) { return store.Open("Cards/..", "cn-hangzhou", credentials, nil) },
	} {
		_, err := open()
		assert.Error(t, err, name)
	}
}

func TestInvocationsSideBySideNeverMixCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/cards/")
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AK"+id+"/") || r.Header.Get("X-Oss-Security-Token") != "token"+id {
			t.Errorf("request for %s with credentials of another", id)
		}
	}))
	defer server.Close()
	store := bucket.New(bucket.Config{Endpoint: server.URL})
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			b, err := store.Open("cards", "cn-hangzhou", bucket.Credentials{AccessKeyID: fmt.Sprint("AK", i), AccessKeySecret: "s", SecurityToken: fmt.Sprint("token", i)}, slog.Default())
			if assert.NoError(t, err) {
				for range 5 {
					assert.NoError(t, b.Put(t.Context(), fmt.Sprint(i), []byte("x"), bucket.PutOptions{ContentType: "text/plain"}))
				}
			}
		})
	}
	group.Wait()
}

func TestErrorsAreSortedAndRetriedByKind(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		want   error
		tries  int32
	}{
		"not found":          {404, "<Error><Code>NoSuchKey</Code></Error>", bucket.ErrNotFound, 1},
		"no bucket":          {404, "<Error><Code>NoSuchBucket</Code></Error>", bucket.ErrNoBucket, 1},
		"denied":             {403, "<Error><Code>AccessDenied</Code><Message>canary</Message></Error>", bucket.ErrAccessDenied, 1},
		"no KMS":             {403, "<Error><Code>KmsServiceNotEnabled</Code></Error>", bucket.ErrRefused, 1},
		"arrears":            {403, "<Error><Code>UserDisable</Code></Error>", bucket.ErrAccessDenied, 1},
		"token over":         {403, "<Error><Code>SecurityTokenExpired</Code></Error>", bucket.ErrCredentialsExpired, 1},
		"damaged picture":    {403, "<Error><Code>ImageDamage</Code></Error>", bucket.ErrInvalid, 1},
		"bad request":        {400, "<Error><Code>InvalidArgument</Code></Error>", bucket.ErrInvalid, 1},
		"public endpoint":    {400, "<Error><Code>PublicEndpointForbidden</Code></Error>", bucket.ErrWrongEndpoint, 1},
		"position":           {409, "<Error><Code>PositionNotEqualToLength</Code></Error>", bucket.ErrPositionMismatch, 1},
		"not appendable":     {409, "<Error><Code>ObjectNotAppendable</Code></Error>", bucket.ErrNotAppendable, 1},
		"exists":             {409, "<Error><Code>FileAlreadyExists</Code></Error>", bucket.ErrExists, 1},
		"archived":           {403, "<Error><Code>InvalidObjectState</Code></Error>", bucket.ErrArchived, 1},
		"no appends here":    {400, "<Error><Code>OperationNotSupported</Code></Error>", bucket.ErrInvalid, 1},
		"storage class":      {400, "<Error><Code>InvalidStorageClass</Code></Error>", bucket.ErrInvalid, 1},
		"encryption":         {400, "<Error><Code>InvalidEncryptionRequest</Code></Error>", bucket.ErrInvalid, 1},
		"method":             {405, "<Error><Code>MethodNotAllowed</Code></Error>", bucket.ErrInvalid, 1},
		"retention":          {409, "<Error><Code>FileImmutable</Code></Error>", bucket.ErrInvalid, 1},
		"slow body":          {400, "<Error><Code>RequestTimeout</Code></Error>", bucket.ErrUnavailable, 3},
		"throttled":          {429, "", bucket.ErrUnavailable, 3},
		"internal":           {500, "<Error><Code>InternalError</Code></Error>", bucket.ErrUnavailable, 3},
		"unavailable":        {503, "<Error><Code>ServiceUnavailable</Code></Error>", bucket.ErrUnavailable, 3},
		"not XML":            {502, "<html>canary", bucket.ErrUnavailable, 3},
		"not XML, permanent": {403, "canary", bucket.ErrAccessDenied, 1},
		"redirect":           {302, "", bucket.ErrWrongEndpoint, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				w.Header().Set("Location", "http://127.0.0.1:1/canary")
				w.Header().Set("X-Oss-Request-Id", "5C3D9175B6FC201293AD4890")
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			_, _, err := b.Read(t.Context(), "canary-key.jpg", bucket.ReadOptions{Limit: 100})
			require.ErrorIs(t, err, test.want)
			assert.Equal(t, test.tries, tries.Load())
			for _, secret := range []string{"canary", "127.0.0.1"} {
				assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), secret)
			}
			assert.Equal(t, test.want == bucket.ErrUnavailable || test.want == bucket.ErrCredentialsExpired, bucket.Retryable(err))
		})
	}
}

func TestPUTOnADeadConnectionIsSentAgain(t *testing.T) {
	var n atomic.Int32
	b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "content", string(body), "each attempt has the whole body")
		if n.Add(1) == 2 {
			panic(http.ErrAbortHandler) // the kept-alive connection breaks
		}
	}))
	for range 2 {
		require.NoError(t, b.Put(t.Context(), "a", []byte("content"), bucket.PutOptions{ContentType: "text/plain"}))
	}
	assert.EqualValues(t, 3, n.Load())
}

func TestBrokenDownloadIsReadAgain(t *testing.T) {
	var n atomic.Int32
	b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "7")
		if n.Add(1) == 1 {
			io.WriteString(w, "con")
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "content")
	}))
	content, _, err := b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Limit: 100})
	require.NoError(t, err)
	assert.Equal(t, "content", string(content))
}

func TestDeadlineEndsACallAndItsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := bucket.New(bucket.Config{Endpoint: "http://127.0.0.1:1"})
		b, err := store.Open("cards", "cn-hangzhou", credentials, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		started := time.Now()
		err = b.Put(ctx, "a", nil, bucket.PutOptions{ContentType: "text/plain"})
		assert.ErrorIs(t, err, bucket.ErrUnavailable)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Zero(t, time.Since(started), "no pause after the end")
	})
}

func TestRetriesAreToldWithTheirReason(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }))
	defer server.Close()
	var log strings.Builder
	b, err := bucket.New(bucket.Config{Endpoint: server.URL}).Open("cards", "cn-hangzhou", credentials, slog.New(slog.NewJSONHandler(&log, nil)))
	require.NoError(t, err)
	_, err = b.Head(t.Context(), "canary-key")
	require.Error(t, err)
	assert.Equal(t, 2, strings.Count(log.String(), `"msg":"retry","call":"OSS HEAD","reason":"Service Unavailable"`), log.String())
	assert.NotContains(t, log.String(), "canary")
}

// Without a class of its own what is written gets the bucket's, and in an Archive bucket could not be read any more.
func TestWhatIsWrittenIsOfTheStandardClass(t *testing.T) {
	var mu sync.Mutex
	classes := map[string]string{}
	b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		classes[r.Method] = r.Header.Get("X-Oss-Storage-Class")
	}))
	_, err := b.Append(t.Context(), "a.ocr.claim", 0, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, b.Put(t.Context(), "a.ocr.json", []byte("x"), bucket.PutOptions{}))
	assert.Equal(t, map[string]string{"POST": "Standard", "PUT": "Standard"}, classes)
}

func TestAVersionIsNamedInItsRequests(t *testing.T) {
	b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-oss-version-id", r.URL.Query().Get("versionId")+"null")
	}))
	_, o, err := b.Read(t.Context(), "a.jpg", bucket.ReadOptions{VersionID: "CAEQ", Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, "CAEQnull", o.VersionID)
	_, o, err = b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Limit: 1})
	require.NoError(t, err)
	assert.Empty(t, o.VersionID, "null is of before versioning, and can be overwritten in place")
	signed, err := b.SignURL("a.jpg", "image/resize,l_2048", "CAEQ", time.Minute)
	require.NoError(t, err)
	u, err := url.Parse(signed)
	require.NoError(t, err)
	assert.Equal(t, "CAEQ", u.Query().Get("versionId"))
	signed, err = b.SignURL("a.jpg", "", "", time.Minute)
	require.NoError(t, err)
	assert.NotContains(t, signed, "versionId")
}

func TestObjectsThatHaveToBeRestored(t *testing.T) {
	for _, test := range []struct {
		class, restore string
		archived       bool
	}{
		{"Standard", "", false}, {"IA", "", false}, {"", "", false}, {"Archive", "", true}, {"ColdArchive", "", true}, {"DeepColdArchive", "", true},
		{"Archive", `ongoing-request="true"`, true}, {"Archive", `ongoing-request="false", expiry-date="Wed, 02 Dec 2026 00:00:00 GMT"`, false},
	} {
		b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-oss-storage-class", test.class)
			w.Header().Set("x-oss-restore", test.restore)
		}))
		o, err := b.Head(t.Context(), "a.jpg")
		require.NoError(t, err)
		assert.Equal(t, test.archived, o.Archived(), test)
	}
}

// A picture that changed on the way would be paid for all the same.
func TestBytesThatChangedOnTheWayAreReadAgain(t *testing.T) {
	const content = "picture"
	sum := strconv.FormatUint(crc64.Checksum([]byte(content), crc64.MakeTable(crc64.ECMA)), 10)
	for name, test := range map[string]struct {
		bodies  []string // of one answer after the other; the last stays
		sum     string
		process string
		err     error
		asked   int32
	}{
		"as it is":           {bodies: []string{content}, sum: sum, asked: 1},
		"changed once":       {bodies: []string{"pictore", content}, sum: sum, asked: 2},
		"changed always":     {bodies: []string{"pictore"}, sum: sum, err: bucket.ErrUnavailable, asked: 3},
		"no sum":             {bodies: []string{content}, asked: 1},
		"sum of the source":  {bodies: []string{content}, sum: "1", process: "image/resize,l_2048", asked: 1},
		"no number as a sum": {bodies: []string{content}, sum: "sum", asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := int(asked.Add(1))
				w.Header().Set("x-oss-hash-crc64ecma", test.sum)
				io.WriteString(w, test.bodies[min(n, len(test.bodies))-1])
			}))
			got, _, err := b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Process: test.process, Limit: 10})
			assert.Equal(t, test.asked, asked.Load())
			if test.err != nil {
				assert.ErrorIs(t, err, test.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, content, string(got))
		})
	}
}

func TestContentIsReadIntoTheCallersMemory(t *testing.T) {
	for name, length := range map[string]string{"length told": "7", "length not told": ""} {
		b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if length == "" {
				w.(http.Flusher).Flush()
			}
			io.WriteString(w, "picture")
		}))
		memory := make([]byte, 4096)
		got, _, err := b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Limit: 10, Buffer: func(size int) []byte {
			require.LessOrEqual(t, size, len(memory))
			return memory[:size]
		}})
		require.NoError(t, err, name)
		assert.Equal(t, "picture", string(got), name)
		assert.Same(t, &memory[0], &got[0], name)
	}
}

// An appender that cannot trust the length has the CRC of the whole object, if OSS tells it.
func TestAnAppendTellsTheWholeObject(t *testing.T) {
	for name, test := range map[string]struct {
		header map[string]string
		want   bucket.Appended
	}{
		"length and CRC": {map[string]string{"x-oss-next-append-position": "9", "x-oss-hash-crc64ecma": "18446744073709551615"}, bucket.Appended{Length: 9, CRC64: 1<<64 - 1, HasCRC: true}},
		"no CRC":         {map[string]string{"x-oss-next-append-position": "9"}, bucket.Appended{Length: 9}},
		"nothing":        {nil, bucket.Appended{Length: 8}},
	} {
		b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range test.header {
				w.Header().Set(k, v)
			}
		}))
		a, err := b.Append(t.Context(), "a.ocr.claim", 5, []byte("abc"))
		require.NoError(t, err, name)
		assert.Equal(t, test.want, a, name)
	}
}

// A DELETE has no condition: the second one could remove what somebody else has written meanwhile.
func TestADeleteIsSentOnce(t *testing.T) {
	var requests atomic.Int32
	b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.WriteHeader(503)
	}))
	require.ErrorIs(t, b.Delete(t.Context(), "a.ocr.claim"), bucket.ErrUnavailable)
	assert.EqualValues(t, 1, requests.Load())
}

// A document is created by an append, and in a bucket that refuses appends by a PUT that forbids overwriting.
func TestCreatingIsAnAppendWhereTheBucketTakesOne(t *testing.T) {
	for name, test := range map[string]struct {
		refuses bool
		want    []string
	}{
		"takes appends":   {false, []string{"POST append "}},
		"refuses appends": {true, []string{"POST append ", "PUT  true"}},
	} {
		t.Run(name, func(t *testing.T) {
			var requests []string
			b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				operation := ""
				if r.URL.Query().Has("append") {
					operation = "append"
				}
				requests = append(requests, fmt.Sprint(r.Method, " ", operation, " ", r.Header.Get("x-oss-forbid-overwrite")))
				assert.Equal(t, "failed", r.Header.Get("x-oss-meta-status"))
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				if operation != "" && test.refuses {
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprint(w, "<Error><Code>OperationNotSupported</Code></Error>")
				}
			}))
			o := bucket.PutOptions{ContentType: "application/json", Meta: map[string]string{"status": "failed"}, IfAbsent: true}
			require.NoError(t, b.Put(t.Context(), "a.jpg.ocr.json", []byte("{}"), o))
			assert.Equal(t, test.want, requests)
		})
	}
}

func TestASignatureForAnotherRegionIsToldWithBothPlaces(t *testing.T) {
	b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-oss-ec", "0002-00000226")
		w.WriteHeader(http.StatusBadRequest)
		if r.Method != http.MethodHead {
			io.WriteString(w, "<Error><Code>InvalidArgument</Code><Message>Invalid signing region in Authorization header.</Message><EC>0002-00000226</EC></Error>")
		}
	}))
	_, headErr := b.Head(t.Context(), "canary-key.jpg")
	_, appendErr := b.Append(t.Context(), "canary-key.jpg", 0, []byte("x"))
	for _, err := range []error{headErr, appendErr} {
		require.ErrorIs(t, err, bucket.ErrWrongRegion)
		assert.Contains(t, err.Error(), "signed for cn-hangzhou, sent to 127.0.0.1:")
		assert.NotContains(t, err.Error(), "canary")
		assert.False(t, bucket.Retryable(err))
	}
}

func TestWhatIsWrittenIsPrivateTaggedAndEncrypted(t *testing.T) {
	for encryption, want := range map[string][3]string{"": {}, "AES256": {"AES256", "", "AES256"}, "KMS": {"KMS", "", "KMS"}, "KMS:key-1": {"KMS", "key-1", "KMS"}} {
		seen := map[string]http.Header{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			op := r.Method + r.URL.Query().Get("position")
			seen[op] = r.Header
			w.Header().Set("x-oss-next-append-position", "9")
		}))
		b, err := bucket.New(bucket.Config{Endpoint: server.URL, Encryption: encryption, PutTags: map[string]string{"fc-idcard-ocr": "document", "部门": "a b"},
			AppendTags: map[string]string{"fc-idcard-ocr": "claim"}}).Open("cards", "cn-hangzhou", credentials, slog.Default())
		require.NoError(t, err)
		require.NoError(t, b.Put(t.Context(), "a.ocr.json", []byte("{}"), bucket.PutOptions{}))
		for _, position := range []int64{0, 5} {
			_, err = b.Append(t.Context(), "a.ocr.claim", position, []byte("line"))
			require.NoError(t, err)
		}
		server.Close()
		for op, h := range seen {
			if op == "POST5" {
				for _, name := range []string{"x-oss-object-acl", "x-oss-storage-class", "x-oss-server-side-encryption", "x-oss-tagging"} {
					assert.Empty(t, h.Get(name), "an object gets its properties when it is made")
				}
				continue
			}
			assert.Equal(t, "private", h.Get("x-oss-object-acl"), op)
			assert.Equal(t, "Standard", h.Get("x-oss-storage-class"), op)
			assert.Equal(t, want[0], h.Get("x-oss-server-side-encryption"), op)
		}
		assert.Equal(t, want[1], seen["PUT"].Get("x-oss-server-side-encryption-key-id"))
		assert.Empty(t, seen["POST0"].Get("x-oss-server-side-encryption-key-id"), "appendable objects cannot have one")
		tags, err := url.ParseQuery(seen["PUT"].Get("x-oss-tagging"))
		require.NoError(t, err)
		assert.Equal(t, url.Values{"fc-idcard-ocr": {"document"}, "部门": {"a b"}}, tags)
		assert.Equal(t, "fc-idcard-ocr=claim", seen["POST0"].Get("x-oss-tagging"))
	}
}

func TestReadTakesItsLimitAndNoByteMore(t *testing.T) {
	for _, sized := range []bool{true, false} {
		b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "image/format,jpg", r.URL.Query().Get("x-oss-process"))
			if !sized {
				w.(http.Flusher).Flush()
			}
			io.WriteString(w, "content")
		}))
		content, _, err := b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Process: "image/format,jpg", Limit: 7})
		require.NoError(t, err)
		assert.Equal(t, "content", string(content))
		_, _, err = b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Process: "image/format,jpg", Limit: 6})
		assert.ErrorIs(t, err, bucket.ErrTooLarge)
		assert.False(t, bucket.Retryable(err))
	}
}

func TestEmptyKeyIsRefusedBeforeAnythingIsSent(t *testing.T) {
	b := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request without a key") }))
	_, err := b.SignURL("", "", "", 1)
	assert.ErrorIs(t, err, bucket.ErrInvalid)
	assert.ErrorIs(t, b.Put(t.Context(), "", nil, bucket.PutOptions{ContentType: "text/plain"}), bucket.ErrInvalid)
	_, err = b.Head(t.Context(), "")
	assert.ErrorIs(t, err, bucket.ErrInvalid)
}

// What a broken server says is neither told nor taken for an answer.
func TestWordsOfABrokenServerAreNotTold(t *testing.T) {
	for name, answer := range map[string]string{
		"not HTTP":   "canary canary\r\n\r\n",
		"code":       "HTTP/1.1 403 X\r\nConnection: close\r\n\r\n<Error><Code>canary words</Code><RequestId>a canary</RequestId></Error>",
		"reset":      "",
		"bad header": "HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					io.WriteString(conn, answer)
					conn.Close()
				}
			}))
			_, _, err := b.Read(t.Context(), "canary-key.jpg", bucket.ReadOptions{Limit: 10})
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "canary")
			assert.Equal(t, name == "code", !bucket.Retryable(err), err)
		})
	}
}

func TestEndpointThatIsNoAddressIsRefused(t *testing.T) {
	for _, c := range []bucket.Config{{Endpoint: "http://[::1"}, {PublicEndpoint: "http://[::1"}} {
		_, err := bucket.New(c).Open("cards", "cn-hangzhou", credentials, slog.Default())
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), "bucket: "), err)
	}
}
