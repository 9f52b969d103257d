package main

import (
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
)

// sdkLogFilter takes what libraries print through package log. Only the words of Function Compute's SDK pass, which are this
// program's own errors: net/http quotes what a server sent beyond its answer, which can be somebody's card. Of all others
// the place is told. Who prints is seen from the stack: the SDK sets the logger's prefix and flags to its own liking.
type sdkLogFilter struct{ to io.Writer }

// Write implements io.Writer for one line. It never fails: nobody would do anything about it.
func (l sdkLogFilter) Write(line []byte) (int, error) {
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	var caller runtime.Frame
	for more := true; more && (caller.Function == "" || strings.HasPrefix(caller.Function, "log.")); {
		caller, more = frames.Next()
	}
	if strings.HasPrefix(caller.Function, "github.com/aliyun/fc-runtime-go-sdk/") {
		l.to.Write(line)
		return len(line), nil
	}
	place := fmt.Sprintf("%s:%d", path.Base(caller.File), caller.Line)
	fmt.Fprintf(l.to, "a library reports a problem at %s, in words that can quote a server\n", place)
	return len(line), nil
}
