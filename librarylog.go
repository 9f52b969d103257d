package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"path"
)

// libraryLog takes what libraries print through package log. Only the words of Function Compute's SDK pass, which are this
// program's own errors: net/http quotes what a server sent beyond its answer, which can be somebody's card. Of all others
// the place is told.
type libraryLog struct{ to io.Writer }

// libraryLogFlags make the lines that libraryLog understands.
const libraryLogFlags = log.LstdFlags | log.Llongfile

// Write implements io.Writer for one line. It never fails: nobody would do anything about it.
func (l libraryLog) Write(line []byte) (int, error) {
	const date = len("2006/01/02 15:04:05 ")
	begin := min(date, len(line))
	place, words, _ := bytes.Cut(line[begin:], []byte(": "))
	if !bytes.Contains(place, []byte("/fc-runtime-go-sdk@")) {
		words = fmt.Appendf(nil, "a library reports a problem at %s, in words that can quote a server\n", path.Base(string(place)))
	}
	l.to.Write(append(line[:begin:begin], words...))
	return len(line), nil
}
