package handler

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unsized hides the length of a body, which is then sent in chunks.
type unsized struct{ io.Reader }

func TestBodiesWaitForMemoryAndAreRefusedInTime(t *testing.T) {
	const budget = 1 << 20
	f := newFixture(t)
	f.handlerOptions.BodyBytes = budget
	h := f.handler()
	server := httptest.NewServer(h.CustomRuntime())
	defer server.Close()
	send := func(path, contentType string, size int, told bool, life time.Duration) (*http.Response, string) {
		begin := `{"events":[]}`
		if path != "/invoke" {
			begin = "\xff\xd8\xff picture"
		}
		var body io.Reader = strings.NewReader(begin + strings.Repeat(" ", size-len(begin)))
		if !told {
			body = unsized{body}
		}
		request, err := http.NewRequest("POST", server.URL+path, body)
		if !assert.NoError(t, err) {
			return &http.Response{}, ""
		}
		request.Header.Set("Content-Type", contentType)
		request.Header.Set("x-fc-function-deadline", fmt.Sprint(time.Now().Add(life).UnixMilli()))
		response, err := http.DefaultClient.Do(request)
		if !assert.NoError(t, err) {
			return &http.Response{}, ""
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		assert.NoError(t, err)
		return response, string(answer)
	}
	picture := func(size int, told bool, life time.Duration) (*http.Response, string) {
		return send("/recognitions", "image/jpeg", size, told, life)
	}
	event := func(size int, told bool, life time.Duration) (*http.Response, string) {
		return send("/invoke", "application/octet-stream", size, told, life)
	}
	const short, long = 200 * time.Millisecond, 2 * time.Minute

	release, e := h.bodies.take(t.Context(), time.Now().Add(long), budget-smallBody)
	require.Nil(t, e)
	for _, told := range []bool{true, false} {
		response, answer := picture(smallBody+1, told, short)
		assert.Equal(t, http.StatusTooManyRequests, response.StatusCode, answer)
		assert.Equal(t, "10", response.Header.Get("Retry-After"))
		assert.Contains(t, answer, `"code":"Throttled"`)
		response, answer = event(smallBody+1, told, short)
		assert.Equal(t, "404", response.Header.Get("x-fc-status"), "FC delivers it again")
		assert.Contains(t, answer, `"errorType":"Throttled"`)
		response, answer = event(smallBody-1, told, long)
		assert.Equal(t, http.StatusOK, response.StatusCode, "no event of usual size waits for pictures: %s", answer)
		response, answer = picture(smallBody-1, told, long)
		assert.Equal(t, http.StatusOK, response.StatusCode, answer)
	}
	assert.Equal(t, 2, f.OCR.Accepted(), "nothing is paid for what is refused")

	answered := make(chan int)
	go func() {
		response, _ := picture(budget/2, true, long)
		answered <- response.StatusCode
	}()
	select {
	case status := <-answered:
		t.Errorf("answered with %d before there was memory", status)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	assert.Equal(t, http.StatusOK, <-answered, "it waited")
	response, answer := picture(2*budget, true, long)
	assert.Equal(t, http.StatusOK, response.StatusCode, "what is larger than the budget comes alone: %s", answer)
	assert.True(t, h.bodies.free.TryAcquire(budget), "all memory is given back")
}

func TestBodyIsReadIntoOneAllocation(t *testing.T) {
	h := newFixture(t).handler()
	content := strings.Repeat("x", 5<<20)
	for name, test := range map[string]struct {
		length int64
		limit  int64
		most   float64 // allocated, in lengths of the content
	}{
		"length told":     {int64(len(content)), 20 << 20, 1.01},
		"length not told": {-1, 5 << 20, 1.05},
	} {
		r := httptest.NewRequest("POST", "/recognitions", unsized{strings.NewReader(content)})
		r.ContentLength = test.length
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		body, _, _, err := h.readBody(r, test.limit)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		assert.Len(t, body, len(content), name)
		assert.Less(t, float64(after.TotalAlloc-before.TotalAlloc), test.most*float64(len(content)), name)
	}
}
