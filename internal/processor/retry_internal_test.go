package processor

import (
	"errors"
	"testing"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRetryDecisionsThatStopOrPause(t *testing.T) {
	always := func() bool { return true }
	fresh := func() *retryState { return &retryState{maxAttempts: 3, source: config.URL, details: true} }
	d := fresh().after(nil, errors.New("no error of a call"), always)
	assert.Equal(t, stop, d.action)
	assert.Equal(t, result.Internal, d.failure.Code)
	assert.False(t, d.failure.Retryable)
	busy, err := ocrclient.ParseResponse(200, []byte(`{"showapi_res_code":-1009,"showapi_fee_num":0}`))
	require.NoError(t, err)
	assert.Equal(t, decision{action: retryNewNonce, pause: true, consumed: true}, fresh().after(busy, nil, always), "an overloaded provider is given time")
}
