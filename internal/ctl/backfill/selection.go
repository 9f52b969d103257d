package backfill

import (
	"slices"
	"strings"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// The words of a Selection beside codes.
const (
	AllFailed = "all"       // every document with the status failed
	Retryable = "retryable" // those whose error is retryable
	OnlyStale = "stale"     // none of them: only documents of another version, which are selected whenever documents are read
)

// Selection says which documents without a card are to be made anew. The zero Selection selects none.
type Selection struct {
	all, retryable, stale bool
	codes                 []result.Code
}

// ParseSelection reads a comma-separated list of codes, or "all" or "retryable". Empty text selects nothing.
func ParseSelection(text string) (s Selection, err error) {
	for word := range strings.SplitSeq(text, ",") {
		switch word = strings.TrimSpace(word); {
		case word == "":
		case word == AllFailed:
			s.all = true
		case word == Retryable:
			s.retryable = true
		case word == OnlyStale:
			s.stale = true
		case slices.Contains(result.Codes, result.Code(word)):
			s.codes = append(s.codes, result.Code(word))
		default:
			return Selection{}, message.Errorf("%q is no error code; accepted: %s", word, strings.Join(Words(), ", "))
		}
	}
	slices.Sort(s.codes)
	s.codes = slices.Compact(s.codes)
	return s, nil
}

// Words are all that ParseSelection takes.
func Words() []string {
	words := []string{AllFailed, Retryable, OnlyStale}
	for _, code := range result.Codes {
		words = append(words, string(code))
	}
	return words
}

// Any reports whether anything is selected.
func (s Selection) Any() bool { return s.all || s.retryable || s.stale || len(s.codes) > 0 }

// Selects reports whether the document is to be made anew.
func (s Selection) Selects(d *result.Document) bool {
	if d.Error == nil {
		return false
	}
	return (s.all && d.Status == result.Failed) || (s.retryable && d.Error.Retryable) || slices.Contains(s.codes, d.Error.Code)
}

// String writes the selection so that ParseSelection reads it again, always in the same order.
func (s Selection) String() string {
	var words []string
	if s.all {
		words = append(words, AllFailed)
	}
	if s.retryable {
		words = append(words, Retryable)
	}
	if s.stale {
		words = append(words, OnlyStale)
	}
	for _, code := range s.codes {
		words = append(words, string(code))
	}
	return strings.Join(words, ",")
}
