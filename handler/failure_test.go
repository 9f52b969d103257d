package handler

import (
	"errors"
	"fmt"
	"testing"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
)

func kind(k error) error { return fmt.Errorf("memory: %w", k) }

func TestErrorsOfTheStoreHaveTheirCode(t *testing.T) {
	for k, want := range map[error]struct {
		code  Code
		again bool
	}{
		bucket.ErrNotFound: {ImageNotFound, false}, bucket.ErrNoBucket: {ImageNotFound, false}, bucket.ErrDenied: {AccessDenied, false},
		bucket.ErrExpired: {AccessDenied, true}, bucket.ErrEndpoint: {AccessDenied, false}, bucket.ErrClock: {ClockSkew, true},
		bucket.ErrTooLarge: {ImageTooLarge, false}, bucket.ErrInvalid: {ImageUnsupported, false}, bucket.ErrTransient: {Unavailable, true},
		bucket.ErrPosition: {Internal, false}, errors.New("unheard of"): {Internal, false},
	} {
		e := storageFailure(kind(k))
		assert.Equal(t, want.code, e.Code, k)
		assert.Equal(t, want.again, e.Retryable, k)
		assert.Contains(t, statusOf, e.Code)
	}
	assert.Equal(t, Internal, AsError(errors.New("canary")).Code)
	assert.NotContains(t, AsError(errors.New("canary")).Error(), "canary")
}
