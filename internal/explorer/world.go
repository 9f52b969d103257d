package explorer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/handler"
	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
)

// Setup is the part of a schedule that does not change during it.
type Setup struct {
	Source      config.ImageSource
	OnLost      config.LostAnswer
	MaxAttempts int
	Versioned   bool // the bucket has versioning
	Processed   bool // OSS converts the picture before it is read
	OneProcess  bool // invocations share a process until it crashes; otherwise each has its own
	Blank       bool // the first picture shows no card
	Slow        bool // invocations of 90 minutes, and a rate limit that makes a second call wait for 1,000 s
	Zombies     bool // the platform begins the next attempt while the one before still runs
	Forced      bool // callers of the HTTP API want a recognition to be made again
	Outsiders   bool // others put objects in the claim's place, strip metadata, and set the bucket up so that it refuses appends
}

// String is the setup in a form that can be pasted.
func (s Setup) String() string {
	flags := ""
	for _, f := range []struct {
		name string
		on   bool
	}{{"Versioned", s.Versioned}, {"Processed", s.Processed}, {"OneProcess", s.OneProcess}, {"Blank", s.Blank}, {"Slow", s.Slow}, {"Zombies", s.Zombies}, {"Forced", s.Forced}, {"Outsiders", s.Outsiders}} {
		if f.on {
			flags += ", " + f.name + ": true"
		}
	}
	return fmt.Sprintf("Setup{Source: %q, OnLost: %q, MaxAttempts: %d%s}", s.Source, s.OnLost, s.MaxAttempts, flags)
}

// lease is how long an invocation may last.
func (s Setup) lease() time.Duration {
	if s.Slow {
		return 90 * time.Minute
	}
	return time.Minute
}

// invocation is one delivery of an event to one process.
type invocation struct {
	number    int
	delivery  delivery
	process   *processor.Processor
	deadline  time.Time
	inspected version // what its last HEAD of the image said
	killed    chan struct{}
	done      chan struct{}
	err       error
	requests  map[string]int // how many of each op and object
	ended     bool           // seen by the scheduler

	looked       int  // the step of its last HEAD of the document
	robbed       bool // its claim was removed while it lived
	failedCheck  bool // OSS answered none of the attempts of a HEAD,
	failedPut    bool // of a PUT,
	failedAppend bool // or of an APPEND
}

func (i *invocation) dead() bool {
	select {
	case <-i.killed:
		return true
	default:
		return false
	}
}

func (i *invocation) live() bool { return !i.ended && !i.dead() }

// delivery is an event that is to be delivered.
type delivery struct {
	requestID string
	retry     int
	etag      string
	force     bool                 // not an event, but a request to the HTTP API
	twin      bool                 // the same attempt a second time; the platform tells the attempts of the first one only
	process   *processor.Processor // that gets it; nil: a new one, or the shared one
}

// maxRetries is how often the platform delivers an event again that failed.
const maxRetries = 2

// world runs one schedule: the handler, the models around it, and what the scheduler knows.
type world struct {
	setup    Setup
	imageKey string
	keys     result.Keys
	storage  *storage
	gateway  *gateway
	pick     picker
	steps    int
	ends     int     // points at which nothing was left to do
	points   []point // at which there was a choice
	final    bool    // no more choices: the clean deliveries at the end

	mu      sync.Mutex // for what invocations change: the next three
	pending []*request
	late    []*request // not carried out, and nobody waits for them
	panics  []string

	invocations []*invocation
	queue       []delivery
	events      int
	current     *invocation
	shared      *processor.Processor

	history
}

// picker chooses one of a point's choices.
type picker interface{ choose(p *point) int }

// point is a place in a schedule at which there are choices.
type point struct {
	at      string
	choices []choice
	taken   int
}

// choice is something that can happen next. The first one of a point is what happens by itself.
type choice struct {
	name string
	free bool // does not count as a deviation
	act  func()
}

// image contents. The provider finds a card in all but blank ones.
const (
	contentA = "picture A"
	contentB = "picture B"
	blank    = "blank picture"
)

// run carries a schedule out in a bubble of virtual time.
func run(t *testing.T, setup Setup, pick picker) (w *world) {
	synctest.Test(t, func(*testing.T) {
		w = &world{setup: setup, pick: pick, imageKey: "a.jpg", storage: newStorage(setup.Versioned),
			keys: result.Keys{ImageSuffixes: []string{".jpg", ".heic"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}}
		if setup.Processed {
			w.imageKey = "a.heic"
		}
		w.gateway = &gateway{storage: w.storage, nonces: map[string]time.Time{}}
		first := contentA
		if setup.Blank {
			first = blank
		}
		w.upload(first)
		for w.step() && len(w.violations) == 0 {
		}
		if len(w.violations) == 0 {
			w.finish()
		}
		for _, i := range w.invocations {
			if i.live() {
				w.kill(i)
			}
			<-i.done
		}
	})
	return w
}

func (w *world) what(key string) string {
	switch key {
	case w.imageKey:
		return "image"
	case w.keys.Result(w.imageKey):
		return "document"
	case w.keys.Claim(w.imageKey):
		return "claim"
	}
	return key
}

// arrive takes a request from an invocation.
func (w *world) arrive(r *request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.by.requests[r.op+r.what]++
	r.n = r.by.requests[r.op+r.what]
	w.pending = append(w.pending, r)
}

// abandon notes that nobody waits for a request any more.
func (w *world) abandon(r *request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeLocked(r)
	w.keepLocked(r)
}

// maxLate bounds the requests that may be carried out late.
const maxLate = 3

func (w *world) keepLocked(r *request) {
	if r.writes() && len(w.late) < maxLate && !w.final {
		w.late = append(w.late, r)
	}
}

func (w *world) takeLocked(r *request) {
	w.pending = slices.DeleteFunc(w.pending, func(other *request) bool { return other == r })
	w.late = slices.DeleteFunc(w.late, func(other *request) bool { return other == r })
}

func (w *world) take(r *request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeLocked(r)
}

// settle waits until every invocation waits for a reply, sleeps, or has ended, and notes what happened.
func (w *world) settle() {
	synctest.Wait()
	for _, i := range w.invocations {
		if !i.live() {
			continue
		}
		select {
		case <-i.done:
			i.ended = true
			if i.err != nil {
				w.redeliver(i)
			}
		default:
			if !time.Now().Before(i.deadline) { // the platform ends it
				w.kill(i)
				w.redeliver(i)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortFunc(w.pending, func(a, b *request) int {
		if a.by != b.by {
			return a.by.number - b.by.number
		}
		return strings.Compare(a.String(), b.String())
	})
	w.late = slices.DeleteFunc(w.late, func(r *request) bool { return time.Since(r.sent) > memory }) // refused for its time stamp
	for _, text := range w.panics {
		w.violate("panic: %s", text)
	}
	w.panics = nil
}

// redeliver has the platform begin the next attempt at a request. It knows of one at a time.
func (w *world) redeliver(i *invocation) {
	other := func(other *invocation) bool {
		return other != i && other.live() && other.delivery.requestID == i.delivery.requestID
	}
	if slices.ContainsFunc(w.invocations, other) {
		return
	}
	if i.delivery.retry < maxRetries && !i.delivery.twin && !i.delivery.force && !w.final {
		d := i.delivery
		d.retry++
		w.queue = append(w.queue, d)
	}
}

// step lets one thing happen. It returns false when nothing is left.
func (w *world) step() bool {
	w.settle()
	if w.steps++; w.steps > 2000 {
		w.violate("no end after %d steps", w.steps)
		return false
	}
	p := w.next()
	if p == nil { // all that live are asleep
		time.Sleep(3 * time.Second)
		return true
	}
	if w.final {
		p.choices[0].act()
		return p.choices[0].name != "end"
	}
	p.taken = w.pick.choose(p)
	w.points = append(w.points, *p)
	if p.choices[0].name == "end" {
		w.ends++
	}
	c := p.choices[p.taken]
	c.act()
	time.Sleep(10 * time.Millisecond)
	return c.name != "end"
}

// next returns the next point; nil if there is nothing but to wait.
func (w *world) next() *point {
	first, others := w.ready()
	p := &point{}
	live := slices.ContainsFunc(w.invocations, (*invocation).live)
	switch {
	case first != nil:
		p.at = first.String()
		p.choices = append(p.choices, choice{name: "ok", act: func() { w.carryOut(first) }})
	case live:
		return nil
	case len(w.queue) > 0:
		p.at = fmt.Sprintf("deliver %d", len(w.invocations)+1)
		p.choices = append(p.choices, choice{name: "ok", act: func() { w.deliver(0) }})
	default:
		p.at = fmt.Sprintf("end/%d", w.ends+1)
		p.choices = append(p.choices, choice{name: "end", free: true, act: func() {}})
	}
	if w.final {
		return p
	}
	if first != nil {
		w.addFaults(p, first)
		for _, r := range others {
			p.choices = append(p.choices, choice{name: "first " + r.String(), act: func() { w.carryOut(r) }})
		}
		for n := range w.queue {
			p.choices = append(p.choices, choice{name: fmt.Sprint("deliver ", w.queue[n].requestID), act: func() { w.deliver(n) }})
		}
	}
	w.addLate(p)
	w.addEvents(p)
	return p
}

// ready returns the request that is the next by itself, that of the invocation that is at work, and the first ones of the
// others.
func (w *world) ready() (first *request, others []*request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[*invocation]bool{}
	for _, r := range w.pending {
		if seen[r.by] {
			continue
		}
		seen[r.by] = true
		if r.by == w.current {
			if first != nil {
				others = append(others, first)
			}
			first = r
		} else if first == nil {
			first = r
		} else {
			others = append(others, r)
		}
	}
	return first, others
}

func (w *world) reply(r *request, err error) {
	w.take(r)
	w.current = r.by
	r.reply <- err
}

// carryOut lets a request have its effect and its reply.
func (w *world) carryOut(r *request) {
	err := w.effect(r)
	if r.paid != nil && err == nil {
		r.paid.answered = time.Now()
	}
	w.reply(r, err)
}

// addFaults adds what can go wrong with a request and with its invocation.
func (w *world) addFaults(p *point, r *request) {
	add := func(name string, act func()) { p.choices = append(p.choices, choice{name: name, act: act}) }
	lost := failed(bucket.ErrUnavailable)
	if r.op == "POST" {
		w.addCallFaults(add, r)
	} else {
		if r.writes() {
			add("reply lost", func() { w.effect(r); w.reply(r, lost) })
			add("late", func() { w.reply(r, lost); w.keep(r) })
		}
		add("down", func() { w.reply(r, errDown) })
	}
	add("crash", func() { w.crash(r.by) })
	if r.writes() {
		add("crash, late", func() { w.crash(r.by); w.keep(r) })
		add("crash after", func() { w.effect(r); w.crash(r.by) })
	}
}

func (w *world) keep(r *request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeLocked(r)
	w.keepLocked(r)
}

// crash ends an invocation and its process. The platform delivers again.
func (w *world) crash(i *invocation) {
	for _, other := range w.invocations {
		if other.live() && (other == i || other.process == i.process) {
			w.kill(other)
			w.redeliver(other)
		}
	}
	w.shared = nil
}

// runs reports that no invocation of a process has ended it.
func (w *world) runs(p *processor.Processor) bool {
	return !slices.ContainsFunc(w.invocations, func(i *invocation) bool { return i.process == p && i.dead() })
}

// kill ends an invocation. What it has sent may arrive, if somebody keeps it.
func (w *world) kill(i *invocation) {
	close(i.killed)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = slices.DeleteFunc(w.pending, func(r *request) bool { return r.by == i })
}

// addLate adds the requests that nobody waits for. They cost nothing: that they are late was a deviation already.
func (w *world) addLate(p *point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.late {
		p.choices = append(p.choices, choice{name: "land " + r.String(), free: true, act: func() {
			w.take(r)
			w.landing = r
			w.effect(r)
			w.landing = nil
		}})
	}
}

// addEvents adds what others do.
func (w *world) addEvents(p *point) {
	add := func(name string, act func()) { p.choices = append(p.choices, choice{name: name, act: act}) }
	for _, c := range []struct{ name, content string }{{"A", contentA}, {"B", contentB}} {
		add("upload "+c.name, func() {
			time.Sleep(time.Until(wholeSecond().Add(time.Second)))
			w.upload(c.content)
		})
		if string(w.storage.objects[w.imageKey].body) != c.content {
			add("upload "+c.name+" in the same second", func() { w.upload(c.content) })
		}
	}
	if _, ok := w.storage.objects[w.imageKey]; ok {
		add("delete image", w.deleteImage)
	}
	if _, ok := w.storage.objects[w.keys.Result(w.imageKey)]; ok {
		add("delete document", w.deleteDocument)
	}
	if _, ok := w.storage.objects[w.keys.Claim(w.imageKey)]; ok {
		add("delete claim", w.deleteClaim)
	}
	if n := len(w.invocations); n > 0 {
		last := w.invocations[n-1].delivery
		add("duplicate", func() { w.events++; w.start(delivery{requestID: fmt.Sprint("event", w.events), etag: last.etag}) })
		if w.invocations[n-1].live() {
			add("twin", func() { d := last; d.twin = true; w.start(d) })
		}
		if first := w.invocations[0]; !w.setup.OneProcess && n > 1 && first.ended && w.runs(first.process) {
			add("duplicate to the first process", func() {
				w.events++
				w.start(delivery{requestID: fmt.Sprint("event", w.events), etag: last.etag, process: first.process})
			})
		}
		if first := w.invocations[0].delivery; first.etag != last.etag {
			add("old duplicate", func() { w.events++; w.start(delivery{requestID: fmt.Sprint("event", w.events), etag: first.etag}) })
		}
	}
	if i := w.current; w.setup.Zombies && i != nil && i.live() && i.delivery.retry < maxRetries && !i.delivery.twin && !i.delivery.force {
		add("retry early", func() {
			i.robbed = true // its claim is taken over
			d := i.delivery
			d.retry++
			i.delivery.retry = maxRetries // its own end is no reason for another attempt
			w.start(d)
		})
	}
	if w.setup.Forced {
		add("force", func() { w.events++; w.start(delivery{requestID: fmt.Sprint("force", w.events), force: true}) })
	}
	if w.setup.Outsiders {
		w.addOutsiders(add)
	}
	add("wait 1 s", func() { time.Sleep(time.Second) })
	add("wait 70 s", func() { w.pass(70 * time.Second) })
	add("wait 16 min", func() { w.pass(16 * time.Minute) })
}

// pass lets more time pass than an invocation has. What has been sent may arrive later.
func (w *world) pass(d time.Duration) {
	for _, i := range w.invocations {
		if !i.live() || time.Until(i.deadline) > d {
			continue
		}
		w.mu.Lock()
		for _, r := range slices.Clone(w.pending) {
			if r.by == i {
				w.takeLocked(r)
				w.keepLocked(r)
			}
		}
		w.mu.Unlock()
		w.kill(i)
		w.redeliver(i)
	}
	time.Sleep(d)
}

// upload puts an image there. The platform hears of it.
func (w *world) upload(content string) {
	w.storage.put(w.imageKey, []byte(content), bucket.PutOptions{})
	o, _ := w.storage.head(w.imageKey)
	w.noteVersion(o, content)
	w.events++
	w.queue = append(w.queue, delivery{requestID: fmt.Sprint("event", w.events), etag: o.ETag})
}

// deliver starts an invocation for an event that waits.
func (w *world) deliver(n int) {
	d := w.queue[n]
	w.queue = slices.Delete(w.queue, n, n+1)
	w.start(d)
}

func (w *world) start(d delivery) {
	i := &invocation{number: len(w.invocations) + 1, delivery: d, deadline: time.Now().Add(w.setup.lease()), killed: make(chan struct{}),
		done: make(chan struct{}), requests: map[string]int{}}
	w.invocations = append(w.invocations, i)
	w.current = i
	i.process = d.process
	if i.process == nil {
		i.process = w.shared
	}
	if i.process == nil {
		i.process = w.newProcess()
	}
	if w.setup.OneProcess {
		w.shared = i.process
	}
	h := handler.New(handler.Options{Processor: i.process, Keys: w.keys, MaxImageBytes: 20 << 20, HTTPAllow: []string{"cards"}})
	event := fmt.Appendf(nil, `{"events":[{"eventName":"ObjectCreated:PutObject","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":%q,"eTag":%q,"size":9}}}]}`,
		w.imageKey, d.etag)
	if d.force {
		w.forced++
		body := fmt.Sprintf(`{"bucket":"cards","key":%q,"force":true}`, w.imageKey)
		event = fmt.Appendf(nil, `{"version":"v1","rawPath":"/recognitions","headers":{"Content-Type":"application/json"},"body":%q,"requestContext":{"http":{"method":"POST"}}}`, body)
	}
	inv := processor.Invocation{RequestID: d.requestID, RetryCount: d.retry, Deadline: i.deadline, Credentials: bucket.Credentials{AccessKeyID: fmt.Sprint(i.number)}}
	go func() {
		defer close(i.done)
		_, i.err = h.Invoke(context.WithValue(context.Background(), invocationKey{}, i), inv, event)
	}()
}

func (w *world) newProcess() *processor.Processor {
	o := processor.Options{
		Open: func(_, _ string, c bucket.Credentials, _ *slog.Logger) (processor.Bucket, error) {
			for _, i := range w.invocations {
				if c.AccessKeyID == fmt.Sprint(i.number) {
					return ossClient{w, i}, nil
				}
			}
			return nil, failed(bucket.ErrAccessDenied)
		},
		OCR: ocrClient{w}, ImageSource: w.setup.Source, Details: true, Timeout: 20 * time.Second, MaxAttempts: w.setup.MaxAttempts,
		OnLostAnswer: w.setup.OnLost, URLTTL: 5 * time.Minute, MaxImageBytes: 20 << 20, Keys: w.keys, ClaimKey: claimKey, Log: slog.New(panicLog{w: w}),
	}
	if w.setup.Slow {
		o.RateLimit = 0.001
	}
	return processor.New(o)
}

var claimKey = claim.NewKey("secret")

// panicLog keeps what was logged about panics.
type panicLog struct {
	slog.Handler
	w *world
}

func (panicLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (l panicLog) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l panicLog) Handle(_ context.Context, r slog.Record) error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.w.panics = append(l.w.panics, text)
	return nil
}

// unsaved reports whether OSS took neither the document of an invocation, nor the claim's line that would have kept it.
func (i *invocation) unsaved() bool { return (i.failedPut || i.failedCheck) && i.failedAppend }
