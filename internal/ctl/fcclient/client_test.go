package fcclient

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheEndpointIsThatOfTheAccount(t *testing.T) {
	assert.Equal(t, "https://1234567890123456.cn-hangzhou.fc.aliyuncs.com", Endpoint("1234567890123456", "oss-cn-hangzhou"))
}
