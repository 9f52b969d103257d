package safetext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTokenKeepsCodesAndDropsEchoes(t *testing.T) {
	for s, kept := range map[string]bool{
		"NoSuchKey": true, "0048-00000401": true, "": true, strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false, "a.jpg": false, "2026/a": false, "no blanks": false, "张": false, "a\x00": false, "a\n": false,
	} {
		want := ""
		if kept {
			want = s
		}
		assert.Equal(t, want, Token(s, "-"), "%q", s)
	}
	assert.Equal(t, "InvalidTimeStamp.Expired", Token("InvalidTimeStamp.Expired", "-."))
}
