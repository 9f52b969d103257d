package ocrclient

import (
	"crypto/rand"
	"encoding/hex"
)

// NewNonce returns a random (version 4) UUID, the form in which the gateway's documentation wants X-Ca-Nonce.
func NewNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return FormatNonce(b)
}

// FormatNonce writes 16 bytes of the caller's own as a UUID. It serves callers that derive a nonce, so that a call can be
// repeated with it after a crash.
func FormatNonce(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
