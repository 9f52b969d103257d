package handler

import (
	"strings"
	"testing"

	"fc-idcard-ocr/internal/processor/ocrtest"
)

// fixture is a handler in front of the processor of a fixture.
type fixture struct {
	*ocrtest.Fixture
	handlerOptions Options // of the handlers that start later; the rest of them is the processor's

	t       testing.TB
	started *Handler
}

func newFixture(t testing.TB, plan ...ocrtest.Outcome) *fixture {
	return &fixture{Fixture: ocrtest.NewFixture(t, plan...), t: t, handlerOptions: Options{HTTPAllow: []string{"cards"}}}
}

// handler returns the handler of the fixture's process, which starts at the first use.
func (f *fixture) handler() *Handler {
	if f.started == nil {
		o := f.handlerOptions
		o.Processor, o.Keys, o.MaxImageBytes, o.Log = f.Processor(), f.Options.Keys, f.Options.MaxImageBytes, f.Options.Log
		f.started = New(o)
	}
	return f.started
}

// restart has another process at the same bucket and gateway take over, with the options as they are now.
func (f *fixture) restart() {
	f.started = nil
	f.Fixture.Restart()
}

// eventOf is OSS's event about many objects.
func eventOf(keys ...string) []byte {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = strings.TrimSuffix(strings.TrimPrefix(string(ocrtest.Event(key, "")), `{"events":[`), "]}")
	}
	return []byte(`{"events":[` + strings.Join(list, ",") + `]}`)
}
