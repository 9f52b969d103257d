package loopback

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyLoopbackIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9:80": true, "localhost:8903": true, "[::1]": true, "[::1]:1": true,
		"": false, "example.com": false, "localhost.example.com": false, "127.0.0.1.example.com:80": false, "192.168.0.1": false, "[::2]:80": false} {
		assert.Equal(t, want, IsHost(host), host)
	}
}
