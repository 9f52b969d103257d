package result

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUnknownErrorsTellNothing(t *testing.T) {
	e := AsError(errors.New("canary"))
	assert.Equal(t, Internal, e.Code)
	assert.NotContains(t, e.Error(), "canary")
}
