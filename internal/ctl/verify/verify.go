// Package verify tries the assumptions of docs/guarantees.md on somebody's own bucket, gateway and function, under a scratch prefix
// that it removes again. It never makes more calls that can be charged than it is allowed, and what it reports names no key,
// bucket, account or person.
package verify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/erase"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/pause"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// Verdict is what became of an assumption.
type Verdict string

// The verdicts.
const (
	Holds     Verdict = "holds"
	Fails     Verdict = "does not hold"
	NotTested Verdict = "not tested"
)

// Title is the verdict as it is shown to people, in the language in use.
func (v Verdict) Title() string {
	return message.Text(map[Verdict]message.Key{Holds: "holds", Fails: "DOES NOT HOLD", NotTested: "not tested"}[v])
}

// Finding is one assumption with its verdict.
type Finding struct {
	ID         string  `json:"id"`
	Assumption string  `json:"assumption"`
	Verdict    Verdict `json:"verdict"`
	Detail     string  `json:"detail,omitempty"`
	Follows    string  `json:"follows,omitempty"` // only if it does not hold
}

// Report is the outcome of a run. It holds nothing personal and no name of anything.
type Report struct {
	At       time.Time `json:"at"`
	Setup    Setup     `json:"setup"`
	Calls    Calls     `json:"calls"`
	Findings []Finding `json:"findings"`
}

// Setup is what the assumptions were tried on.
type Setup struct {
	Region       string `json:"region,omitempty"`
	Versioning   string `json:"versioning"`
	Encryption   string `json:"encryption"`
	StorageClass string `json:"storageClass"`
	Runtime      string `json:"runtime,omitempty"`
	Auth         string `json:"auth"` // signature or appcode
}

// encrypted reports whether the bucket is known to encrypt new objects.
func (s Setup) encrypted() bool {
	return s.Encryption != string(none) && s.Encryption != string(unknown)
}

// The values of a Setup that are words, and not names of OSS.
const (
	off     message.Key = "off"
	none    message.Key = "none"
	unknown message.Key = "unknown"
)

// Word returns a value of a Setup as it is shown to people, in the language in use.
func Word(value string) string {
	for _, word := range []message.Key{off, none, unknown} {
		if value == string(word) {
			return message.Text(word)
		}
	}
	return value
}

// Calls are the OCR calls of the run, to be compared with the provider's meter.
type Calls struct {
	Made    int `json:"made"`
	Charged int `json:"charged"` // as the answers tell
}

// Target is what the assumptions are tried on. Function may be nil.
type Target struct {
	Bucket   *ossclient.Bucket
	Store    *bucket.Bucket // the same bucket as the function uses it
	Function *fcclient.Client
	// Config has the key, the endpoint and the suffixes: the function's, where it can be read.
	Config config.Config
	// Prefix is put before the scratch prefix: that of the triggers and of the role.
	Prefix string
	// MaxCharge is how many calls may be charged.
	MaxCharge int
	// Picture is a card that belongs to nobody.
	Picture []byte
	// TriggerURL is the function's HTTP trigger, for caller-headers.
	TriggerURL string
	// Wait is how long a delivery may take; 0 means two minutes.
	Wait time.Duration
	HTTP *http.Client
}

// run is one run.
type run struct {
	Target
	scratch string // prefix of everything that is written
	report  Report
	charges int // of MaxCharge, that were used or reserved
	tell    func(Finding)
}

// Run tries all assumptions and tells each verdict as soon as it is there.
func (t Target) Run(ctx context.Context, tell func(Finding)) Report {
	if t.HTTP == nil {
		t.HTTP = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if t.Wait == 0 {
		t.Wait = 2 * time.Minute
	}
	r := &run{Target: t, scratch: t.Prefix + "ocrctl-verify-" + token() + "/", tell: tell, report: Report{At: time.Now().UTC().Truncate(time.Second)}}
	r.report.Setup.Auth = "signature"
	if t.Config.AppCode != "" {
		r.report.Setup.Auth = "appcode"
	}
	for _, check := range []func(context.Context){r.setup, r.store, r.heads, r.urls, r.gateway, r.paid, r.deliveries, r.callerHeaders} {
		if ctx.Err() == nil {
			check(ctx)
		}
	}
	r.clean(context.WithoutCancel(ctx))
	for _, a := range Assumptions {
		if !slices.ContainsFunc(r.report.Findings, func(f Finding) bool { return f.ID == a.ID }) {
			r.skip(a.ID, "the run was interrupted")
		}
	}
	return r.report
}

func token() string {
	var b [6]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

func (r *run) add(id string, v Verdict, format string, args ...any) {
	i := slices.IndexFunc(Assumptions, func(a Assumption) bool { return a.ID == id })
	f := Finding{ID: id, Assumption: message.Text(Assumptions[i].Says), Verdict: v, Detail: message.Sprintf(format, args...)}
	if v == Fails {
		f.Follows = message.Text(Assumptions[i].Follows)
	}
	r.report.Findings = append(r.report.Findings, f)
	if r.tell != nil {
		r.tell(f)
	}
}

func (r *run) holds(id, format string, args ...any) { r.add(id, Holds, format, args...) }
func (r *run) fails(id, format string, args ...any) { r.add(id, Fails, format, args...) }
func (r *run) skip(id, format string, args ...any)  { r.add(id, NotTested, format, args...) }

// judge adds what a condition says.
func (r *run) judge(id string, good bool, format string, args ...any) {
	v := Fails
	if good {
		v = Holds
	}
	r.add(id, v, format, args...)
}

func (r *run) setup(ctx context.Context) {
	info, err := r.Bucket.Info(ctx)
	s := &r.report.Setup
	s.Versioning, s.Encryption, s.StorageClass = string(unknown), string(unknown), string(unknown)
	if err == nil {
		s.Region, s.Versioning, s.Encryption, s.StorageClass = info.Region, or(info.Versioning, string(off)), or(info.Encryption, string(none)), or(info.StorageClass, "Standard")
	}
	if r.Function != nil {
		if f, err := r.Function.Describe(ctx); err == nil {
			s.Runtime = f.Runtime
		}
	}
}

// told is what became of a request: its error, or what follows if there is none.
func told(err error, otherwise message.Key) string {
	if err != nil {
		return err.Error()
	}
	return message.Text(otherwise)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// clean removes everything that was written, old versions too. Images whose claims are held are waited for a while.
func (r *run) clean(ctx context.Context) {
	waiting, stop := context.WithTimeout(ctx, min(r.Wait, 30*time.Second))
	err := r.eraseImages(waiting)
	stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if waiting.Err() != nil {
		err = nil // what is left is removed below
	}
	if removeErr := r.removeAll(ctx); removeErr != nil {
		err = removeErr
	}
	left := 0
	for _, listErr := range r.Bucket.Versions(ctx, r.scratch) {
		if listErr != nil {
			err = listErr
			break
		}
		left++
	}
	switch {
	case left > 0:
		r.fails("nothing-left", "%d objects or versions are left under the scratch prefix", left)
	case err != nil:
		r.fails("nothing-left", "%v", err)
	default:
		r.holds("nothing-left", "nothing is left")
	}
}

// eraseImages removes images with their index entries.
func (r *run) eraseImages(ctx context.Context) error {
	e := &erase.Eraser{Bucket: r.Bucket, Keys: result.Keys{ImageSuffixes: r.Config.ImageSuffixes, ResultSuffix: r.Config.ResultSuffix, ClaimSuffix: r.Config.ClaimSuffix},
		Wait: func(ctx context.Context, _ time.Time) error { return pause.For(ctx, time.Second) }}
	images, err := e.UnderPrefix(ctx, r.scratch)
	for _, image := range images {
		if _, eraseErr := e.Erase(ctx, image); err == nil {
			err = eraseErr
		}
	}
	return err
}

// removeAll removes all versions under the scratch prefix. It goes twice: a claim can be removed by its holder meanwhile.
func (r *run) removeAll(ctx context.Context) (err error) {
	for range 2 {
		err = nil
		for v, listErr := range r.Bucket.Versions(ctx, r.scratch) {
			if listErr != nil {
				return listErr
			}
			if removeErr := r.Bucket.RemoveVersion(ctx, v); removeErr != nil {
				err = removeErr
			}
		}
	}
	return err
}
