package claim

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"regexp"
	"sync"
	"time"
)

// Key authenticates the lines of claims. Only whoever knows the API's secret can write a line that is believed.
type Key []byte

// NewKey derives the key from the AppSecret or the AppCode.
func NewKey(secret string) Key {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "fc-idcard-ocr claim 1", sha256.Size)
	if err != nil { // only for lengths that no caller asks for
		panic(err.Error())
	}
	return key
}

// Version is one version of an image. The ETag alone is not enough: an image that was replaced and put back has the ETag of
// before, and the provider may have fetched what was there in between.
type Version struct {
	ETag         string    `json:"etag"`
	LastModified time.Time `json:"lastModified"` // whole seconds
	VersionID    string    `json:"versionId,omitempty"`
}

// Equal reports whether both are the same version.
func (v Version) Equal(other Version) bool {
	return v.ETag == other.ETag && v.LastModified.Equal(other.LastModified) && v.VersionID == other.VersionID
}

// State is what the next holder of a claim has to know.
type State struct {
	// Version is the image's version that the rest is about. The zero value means the version that the holder will find.
	Version Version `json:"version,omitzero"`
	// Generation counts the nonces of Version. A new one is used only once its line is confirmed.
	Generation int `json:"generation"`
	// Nonce is that of a call that was forced, instead of the one derived from version and generation.
	Nonce string `json:"nonce,omitempty"`
	// Since is the earliest time at which a call of this generation can have been sent.
	Since time.Time `json:"since"`
	// Indeterminate says that a call of this generation may have been accepted, and nobody has its response. In the line of
	// a holder that did not release the claim it counts as true.
	Indeterminate bool `json:"indeterminate,omitempty"`
	// Abandoned is when a holder stopped that did not release the claim and may have gone on to another version than
	// Version; zero if there was none since Version was recorded.
	Abandoned time.Time `json:"abandoned,omitzero"`
	// PossibleExtraCharges counts calls that may have been charged without a result.
	PossibleExtraCharges int `json:"possibleExtraCharges,omitempty"`
	// PaidAgain says that a call for Version was made after another one that may have been charged.
	PaidAgain bool `json:"paidAgain,omitempty"`
	// Result is a paid result of Version that could not be written beside the image, for the holder to understand.
	Result json.RawMessage `json:"result,omitempty"`
	// ResultAt is the sequence of the line that holds Result. In an object it stands in place of Result; 0: there is none.
	ResultAt int `json:"resultAt,omitempty"`
}

// line is one line of a claim object. The lines of one claim form a chain: each names the chain's incarnation and the line
// before it. A line that does not fit is a late arrival or somebody else's, and is passed over.
type line struct {
	Incarnation string    `json:"incarnation"` // random, one per chain
	Sequence    int       `json:"sequence"`    // 0 for the chain's first line
	Previous    string    `json:"previous,omitempty"`
	Owner       string    `json:"owner"` // random, one per attempt at the image
	RequestID   string    `json:"requestId"`
	RetryCount  int       `json:"retryCount"`
	LeaseEnd    time.Time `json:"leaseEnd"` // the holder has stopped by then: its invocation's deadline; zero: released
	State
	MAC string `json:"mac"` // of all members before it, and of the image
}

const (
	// maxLease bounds what a line can hold up: no invocation is longer (FC's largest timeout is 86,400 s).
	maxLease = 24 * time.Hour
	// maxClock is how far ahead of this machine's clock another one may be.
	maxClock = 15 * time.Minute
	maxCount = 1000
)

var nonceForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-zA-Z-]{1,64}$`) })

// encode signs the line for the given image and returns it with its line feed. The MAC is the last member and covers the
// bytes before it, so that a reader of an older release can check a line with members that it does not know.
func (k Key) encode(l *line, image string) []byte {
	l.MAC = ""
	unsigned := bytes.TrimSuffix(marshal(l), []byte(macEnd))
	l.MAC = k.mac(unsigned, image)
	return fmt.Appendf(nil, `%s,"mac":"%s"}`+"\n", unsigned, l.MAC)
}

const (
	macStart = `,"mac":"`
	macEnd   = macStart + `"}`
)

func (k Key) mac(unsigned []byte, image string) string {
	mac := hmac.New(sha256.New, k)
	mac.Write(marshal(image)) // JSON ends the text of its own
	mac.Write(unsigned)
	return hex.EncodeToString(mac.Sum(nil))
}

// verify reports whether the text of l was signed with this key for the image.
func (k Key) verify(text []byte, l *line, image string) bool {
	end := bytes.LastIndex(text, []byte(macStart))
	return end >= 0 && hmac.Equal([]byte(l.MAC), []byte(k.mac(text[:end], image)))
}

func marshal(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// believable refuses what no holder of this program writes, whoever signed it.
func (l *line) believable(now time.Time) bool {
	inRange := func(n int) bool { return n >= 0 && n <= maxCount }
	return inRange(l.Generation) && inRange(l.PossibleExtraCharges) && inRange(l.RetryCount) && l.Owner != "" &&
		(l.Nonce == "" || nonceForm().MatchString(l.Nonce)) && !l.Since.IsZero() && l.Since.Before(now.Add(maxClock))
}

// leaseOver reports whether the holder has released the claim or has stopped. A lease that is longer than any invocation
// holds nobody up.
func (l *line) leaseOver(now time.Time) bool {
	return !now.Before(l.LeaseEnd) || l.LeaseEnd.After(now.Add(maxLease))
}

// holds reports whether the holder of this line keeps the claim from another one: its lease is not over, and it is no
// earlier attempt of the same request, which has ended. now is compared with the lease on this machine's clock: instances keep
// time by NTP, and holders stop before their lease ends.
func (l *line) holds(other line, now time.Time) bool {
	earlierAttempt := l.RequestID != "" && l.RequestID == other.RequestID && l.RetryCount < other.RetryCount
	return !l.leaseOver(now) && !earlierAttempt
}

// inherit returns what the next holder has to know.
func (l *line) inherit(now time.Time) State {
	s := l.State
	if !l.LeaseEnd.IsZero() { // the holder stopped without releasing the claim
		s.Indeterminate, s.Abandoned = true, minTime(l.LeaseEnd, now)
	}
	if !s.Indeterminate {
		s.Since = now.UTC()
	}
	return s
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a.UTC()
	}
	return b.UTC()
}

// content is what a reader believes of a claim object.
type content struct {
	extent
	last *line // the last line that fits; nil if none does
	// ours: lines are there, and look like those of this program. Without a last line they were written with another key, by
	// an older release, or by somebody who knows the format.
	ours bool
}

// extent is where an object ends.
type extent struct {
	length int64
	crc    uint64 // CRC-64/ECMA of the whole object
	torn   bool   // it ends within somebody's line: the next one needs a line feed before it
}

func extentOf(body []byte) extent {
	return extent{length: int64(len(body)), crc: crc64.Checksum(body, crcTable()), torn: len(body) > 0 && body[len(body)-1] != '\n'}
}

// crcTable makes the table with the first claim, not with the start of the process.
func crcTable() *crc64.Table { return crc64.MakeTable(crc64.ECMA) }

// parse follows the chain through an object's lines.
func (k Key) parse(body []byte, image string, now time.Time) content {
	return follow(body, now, func(text []byte, l *line) bool { return k.verify(text, l, image) })
}

// LeaseEnd returns until when the claim of these bytes is held, as its lines tell without anybody having checked their MACs: for
// tools that do not know the key. It is zero if nobody holds the claim, and at most maxLease ahead.
func LeaseEnd(body []byte, now time.Time) time.Time {
	c := follow(body, now, func([]byte, *line) bool { return true })
	if c.last == nil || c.last.leaseOver(now) {
		return time.Time{}
	}
	return c.last.LeaseEnd
}

// follow follows the chain of the lines that are authentic.
func follow(body []byte, now time.Time, authentic func(text []byte, l *line) bool) content {
	c := content{extent: extentOf(body)}
	var saved State // of the last line with a result
	for text := range bytes.Lines(body) {
		var l line
		if json.Unmarshal(text, &l) != nil || l.Owner == "" {
			continue
		}
		c.ours = true
		fits := l.Sequence == 0 && l.Previous == ""
		if c.last != nil {
			fits = l.Incarnation == c.last.Incarnation && l.Sequence == c.last.Sequence+1 && l.Previous == c.last.MAC
		}
		if !fits || !l.believable(now) || !authentic(text, &l) {
			continue
		}
		switch {
		case l.Result != nil:
			l.ResultAt = l.Sequence
			saved = l.State
		case l.ResultAt != 0 && l.ResultAt == saved.ResultAt && l.Version.Equal(saved.Version):
			l.Result = saved.Result
		default:
			l.ResultAt = 0
		}
		c.last = &l
	}
	return c
}
