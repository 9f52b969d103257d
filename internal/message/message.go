// Package message has the texts of the command line and of the local cloud in the language of the person who reads them. English
// texts stand where they are used and are the keys; locales holds them in a file for each language, in the format of gettext.
// It never translates what is read by programs: codes, statuses, names of variables, members of JSON, log lines. The deployed
// function does not use it.
package message

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/leonelquinteros/gotext"
)

//go:embed locales/zh.po
var chinese []byte

// Language is a language of the texts.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// Languages are all of them.
var Languages = []Language{English, Chinese}

// catalog has the translations of the language in use; nil is English, which needs none.
var catalog atomic.Pointer[map[string]string]

var parseChinese = sync.OnceValue(func() *map[string]string {
	po := gotext.NewPo()
	po.Parse(chinese)
	translations := map[string]string{}
	for text, translation := range po.GetDomain().GetTranslations() {
		translations[text] = translation.Get()
	}
	return &translations
})

// Use selects the language of all texts of the process that are made from now on.
func Use(l Language) {
	if l == Chinese {
		catalog.Store(parseChinese())
	} else {
		catalog.Store(nil)
	}
}

// Current is the language in use.
func Current() Language {
	if catalog.Load() != nil {
		return Chinese
	}
	return English
}

// FromEnvironment is the language that the environment asks for, in the order of POSIX: LC_ALL, LC_MESSAGES, LANG; the first that
// is not empty counts. Every locale of zh is Chinese, and everything else is English.
func FromEnvironment(getenv func(string) string) Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		locale := strings.ToLower(getenv(name))
		if locale == "" {
			continue
		}
		if language, _, _ := strings.Cut(strings.NewReplacer("-", "_", ".", "_", "@", "_").Replace(locale), "_"); language == string(Chinese) {
			return Chinese
		}
		return English
	}
	return English
}

// Key is an English text that Text translates. Constants of this type are found by the test that compares the locales with the
// code, as are constant formats of the functions below.
type Key string

// Text returns the text in the language in use.
func Text(k Key) string { return lookup(string(k)) }

// In returns the text in a language, whichever is in use: to recognise what was written in another one.
func In(l Language, k Key) string {
	if l == Chinese {
		if translation := (*parseChinese())[string(k)]; translation != "" {
			return translation
		}
	}
	return string(k)
}

// lookup returns the translation of an English text, or the text itself if there is none.
func lookup(text string) string {
	if c := catalog.Load(); c != nil && text != "" { // the entry of the empty text is the file's header
		if translation := (*c)[text]; translation != "" {
			return translation
		}
	}
	return text
}

// Sprintf is fmt.Sprintf with the format in the language in use.
func Sprintf(format string, args ...any) string {
	if catalog.Load() == nil { // also tells vet what the arguments are for
		return fmt.Sprintf(format, args...)
	}
	return fmt.Sprintf(lookup(format), args...)
}

// Fprintf is fmt.Fprintf with the format in the language in use.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	if catalog.Load() == nil {
		return fmt.Fprintf(w, format, args...)
	}
	return fmt.Fprintf(w, lookup(format), args...)
}

// Errorf is fmt.Errorf with the format in the language in use.
func Errorf(format string, args ...any) error {
	if catalog.Load() == nil {
		return fmt.Errorf(format, args...)
	}
	return fmt.Errorf(lookup(format), args...)
}

// Error returns an error whose text is in the language in use when it is read: for errors that callers compare, which are made
// before the language is known.
func Error(k Key) error { return &sentinel{k} }

type sentinel struct{ text Key }

func (e *sentinel) Error() string { return Text(e.text) }
