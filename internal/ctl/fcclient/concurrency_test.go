package fcclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/credentials"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReservedConcurrencyIsReadAndSet(t *testing.T) {
	reserved := map[string]any{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/2023-03-30/functions/idcard-ocr/concurrency" {
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`{"Code":"FunctionNotFound"}`)) //nolint:errcheck // the test's own
			return
		}
		assert.Empty(t, r.Header.Get("X-Fc-Invocation-Type"), "no invocation")
		switch r.Method {
		case http.MethodPut:
			assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
			assert.Equal(t, "PutConcurrencyConfig", r.Header.Get("x-acs-action"))
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&reserved))
		case http.MethodGet:
			if len(reserved) == 0 {
				w.WriteHeader(http.StatusNotFound)
				w.Write([]byte(`{"Code":"ConcurrencyConfigNotFound"}`)) //nolint:errcheck // the test's own
				return
			}
		}
		json.NewEncoder(w).Encode(reserved) //nolint:errcheck // the test's own
	}))
	defer server.Close()
	c := &Client{Endpoint: server.URL, Function: "idcard-ocr", Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "secret"}),
		Sleep: func(context.Context, time.Duration) error { return nil }}

	_, ok, err := c.ReservedConcurrency(t.Context())
	require.NoError(t, err)
	assert.False(t, ok, "nothing is reserved")
	for _, want := range []int64{10, 0} {
		require.NoError(t, c.Reserve(t.Context(), want))
		got, ok, err := c.ReservedConcurrency(t.Context())
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, want, got)
	}
	c.Function = "other"
	_, _, err = c.ReservedConcurrency(t.Context())
	assert.ErrorContains(t, err, "FunctionNotFound", "a function that is not there is no function without a limit")
}
