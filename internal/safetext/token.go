// Package safetext decides which text of a server may stand in a log or an error. It never changes a text: it keeps or drops it.
package safetext

import "strings"

// maxToken is the longest text, in bytes, that counts as a code or a request ID.
const maxToken = 64

// Token returns s if it is a word of ASCII letters, digits and the given punctuation, and else the empty string. Codes and
// request IDs are such words; an echo of a request, of a key or of a card is not.
func Token(s, punctuation string) string {
	if len(s) > maxToken || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(punctuation, r)
	}) {
		return ""
	}
	return s
}
