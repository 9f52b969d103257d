package claim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	image    = "cards/2026/a.jpg"
	claimKey = "2026/a.jpg.ocr.claim"
)

var (
	auth   = NewKey("secret")
	moment = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
)

// chain makes lines that follow each other, changed before they are signed.
func chain(key Key, image, incarnation string, changes ...func(*line)) (lines [][]byte) {
	l := line{Incarnation: incarnation, Owner: "owner-" + incarnation, RequestID: "r1", LeaseEnd: moment.Add(time.Minute), State: State{Since: moment}}
	for i, change := range changes {
		if i > 0 {
			l.Sequence, l.Previous = i, l.MAC
		}
		if change != nil {
			change(&l)
		}
		lines = append(lines, key.encode(&l, image))
	}
	return lines
}

func join(lines ...[]byte) []byte { return bytes.Join(lines, nil) }

// What is believed is the longest chain from the first line that fits. Everything else changes nothing.
func TestALineThatDoesNotFitTheChainIsPassedOver(t *testing.T) {
	ours := chain(auth, image, "ours", nil, nil, nil)
	former := chain(auth, image, "former", nil, nil, nil)
	wrongKey := chain(NewKey("another secret"), image, "wrong", nil, nil)
	otherImage := chain(auth, "cards/2026/b.jpg", "other", nil, nil)
	unsigned := []byte(`{"incarnation":"x","sequence":0,"owner":"x","requestId":"","retryCount":0,"leaseEnd":"9999-01-01T00:00:00Z","generation":0,"since":"2026-11-25T08:00:00Z"}` + "\n")
	taken := bytes.Replace(ours[0], []byte(`"leaseEnd":"2026-11-25T08:01:00Z"`), []byte(`"leaseEnd":"2026-11-25T09:01:00Z"`), 1)
	require.NotEqual(t, ours[0], taken)
	for name, test := range map[string]struct {
		body     []byte
		owner    string // of the line that counts; empty: none does
		sequence int
		ours     bool
	}{
		"nothing":                                {nil, "", 0, false},
		"a first line":                           {ours[0], "owner-ours", 0, true},
		"three lines":                            {join(ours...), "owner-ours", 2, true},
		"a line without the one before it":       {join(ours[0], ours[2]), "owner-ours", 0, true},
		"no first line":                          {ours[1], "", 0, true},
		"the same line twice":                    {join(ours[0], ours[1], ours[1], ours[2]), "owner-ours", 2, true},
		"a late line of a former incarnation":    {join(ours[0], former[1], ours[1]), "owner-ours", 1, true},
		"two late lines of a former incarnation": {join(ours[0], former[0], former[1], ours[1]), "owner-ours", 1, true},
		"a late line comes first":                {join(former[1], ours[0], ours[1]), "owner-ours", 1, true},
		"a line of another sequel":               {join(ours[0], chain(auth, image, "ours", nil, func(l *line) { l.Owner = "y" }, nil)[2], ours[1]), "owner-ours", 1, true},
		"the right sequel with a wrong number":   {join(ours[0], chain(auth, image, "ours", nil, func(l *line) { l.Sequence = 3 })[1]), "owner-ours", 0, true},
		"the next number after another line":     {join(ours[0], chain(auth, image, "ours", nil, func(l *line) { l.Previous, l.Owner = "x", "y" })[1], ours[1]), "owner-ours", 1, true},
		"the right sequel of another one":        {join(ours[0], chain(auth, image, "ours", nil, func(l *line) { l.Incarnation = "y" })[1]), "owner-ours", 0, true},
		"a first line that names a predecessor":  {chain(auth, image, "ours", func(l *line) { l.Previous = "x" })[0], "", 0, true},
		"somebody's words between":               {join(ours[0], []byte("hello\n\n{}\n[]\nnull\n"), ours[1]), "owner-ours", 1, true},
		"an unsigned line between":               {join(ours[0], unsigned, ours[1]), "owner-ours", 1, true},
		"an unsigned line":                       {unsigned, "", 0, true},
		"a torn line at the end":                 {join(ours[0], ours[1][:len(ours[1])/2]), "owner-ours", 0, true},
		"no line feed at the end":                {join(ours[0], bytes.TrimSuffix(ours[1], []byte("\n"))), "owner-ours", 1, true},
		"a changed member":                       {join(taken, ours[1]), "", 0, true},
		"signed with another key":                {join(wrongKey...), "", 0, true},
		"another key's chain, then a new one":    {join(join(wrongKey...), join(ours...)), "owner-ours", 2, true},
		"copied from another image":              {join(otherImage...), "", 0, true},
		"somebody's own object":                  {[]byte("hello"), "", 0, false},
		"a JSON object of somebody":              {[]byte(`{"name":"x"}`), "", 0, false},
		"an unbelievable line between":           {join(ours[0], chain(auth, image, "ours", nil, func(l *line) { l.Generation = -1 })[1], ours[1]), "owner-ours", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := auth.parse(test.body, image, moment)
			assert.Equal(t, test.ours, c.ours)
			assert.EqualValues(t, len(test.body), c.length)
			if test.owner == "" {
				assert.Nil(t, c.last)
				return
			}
			require.NotNil(t, c.last)
			assert.Equal(t, test.owner, c.last.Owner)
			assert.Equal(t, test.sequence, c.last.Sequence)
		})
	}
}

// Whoever wrote a line, it is believed within bounds only.
func TestALineIsBelievedWithinBounds(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*line)
		want   bool
	}{
		"as it is":                         {func(*line) {}, true},
		"the last generation":              {func(l *line) { l.Generation = maxCount }, true},
		"a generation too far":             {func(l *line) { l.Generation = maxCount + 1 }, false},
		"a negative generation":            {func(l *line) { l.Generation = -1 }, false},
		"the largest count":                {func(l *line) { l.PossibleExtraCharges = maxCount }, true},
		"a huge count":                     {func(l *line) { l.PossibleExtraCharges = maxCount + 1 }, false},
		"a negative count":                 {func(l *line) { l.PossibleExtraCharges = -1 }, false},
		"the last attempt":                 {func(l *line) { l.RetryCount = maxCount }, true},
		"a huge attempt":                   {func(l *line) { l.RetryCount = maxCount + 1 }, false},
		"a negative attempt":               {func(l *line) { l.RetryCount = -1 }, false},
		"no owner":                         {func(l *line) { l.Owner = "" }, false},
		"a UUID for a nonce":               {func(l *line) { l.Nonce = "0f3c9f0e-0000-4000-8000-000000000000" }, true},
		"a nonce with CR LF":               {func(l *line) { l.Nonce = "a\r\nX-Ca-Stage: x" }, false},
		"a nonce with LF at its end":       {func(l *line) { l.Nonce = "a\n" }, false},
		"the longest nonce":                {func(l *line) { l.Nonce = strings.Repeat("a", 64) }, true},
		"a nonce too long":                 {func(l *line) { l.Nonce = strings.Repeat("a", 65) }, false},
		"a nonce that is no ASCII":         {func(l *line) { l.Nonce = "ä" }, false},
		"no time":                          {func(l *line) { l.Since = time.Time{} }, false},
		"a clock that is a little ahead":   {func(l *line) { l.Since = moment.Add(maxClock - time.Second) }, true},
		"a time in the future":             {func(l *line) { l.Since = moment.Add(maxClock) }, false},
		"a lease in the year 9999 is over": {func(l *line) { l.LeaseEnd = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }, true},
	} {
		c := auth.parse(chain(auth, image, "x", test.change)[0], image, moment)
		assert.Equal(t, test.want, c.last != nil, name)
	}
}

func TestALeaseHoldsUpNobodyForLongerThanAnInvocation(t *testing.T) {
	for end, over := range map[time.Time]bool{
		{}:                               true,
		moment.Add(-time.Nanosecond):     true,
		moment:                           true,
		moment.Add(time.Nanosecond):      false,
		moment.Add(24 * time.Hour):       false,
		moment.Add(24*time.Hour + 1):     true,
		moment.AddDate(8000, 0, 0):       true,
		moment.In(time.FixedZone("", 9)): true,
	} {
		assert.Equal(t, over, (&line{LeaseEnd: end}).leaseOver(moment), end)
	}
}

func TestWhoKeepsAClaimFromWhom(t *testing.T) {
	live, over := moment.Add(time.Second), moment.Add(-time.Second)
	own := line{Owner: "me", RequestID: "r1", RetryCount: 1, LeaseEnd: live}
	for name, test := range map[string]struct {
		found line
		holds bool
	}{
		"somebody at work":                                  {line{Owner: "x", RequestID: "r2", LeaseEnd: live}, true},
		"somebody whose lease is over":                      {line{Owner: "x", RequestID: "r2", LeaseEnd: over}, false},
		"somebody whose lease ends now":                     {line{Owner: "x", RequestID: "r2", LeaseEnd: moment}, false},
		"released":                                          {line{Owner: "x", RequestID: "r2"}, false},
		"an earlier attempt of this request has ended":      {line{Owner: "x", RequestID: "r1", RetryCount: 0, LeaseEnd: live}, false},
		"the same attempt delivered twice":                  {line{Owner: "x", RequestID: "r1", RetryCount: 1, LeaseEnd: live}, true},
		"a later attempt of this request":                   {line{Owner: "x", RequestID: "r1", RetryCount: 2, LeaseEnd: live}, true},
		"no request ID is no identity":                      {line{Owner: "x", RetryCount: 0, LeaseEnd: live}, true},
		"an earlier attempt of this request, lease is over": {line{Owner: "x", RequestID: "r1", RetryCount: 0, LeaseEnd: over}, false},
	} {
		assert.Equal(t, test.holds, test.found.holds(own, moment), name)
	}
	assert.True(t, (&line{Owner: "x", LeaseEnd: live}).holds(line{Owner: "me", RetryCount: 3}, moment), "two requests without ID")
}

func TestTheNextHolderInheritsWhatItHasToKnow(t *testing.T) {
	now := moment.Add(10 * time.Minute)
	s := State{Version: Version{ETag: "E"}, Generation: 2, Since: moment, PossibleExtraCharges: 1, PaidAgain: true, Result: json.RawMessage(`{}`)}
	indeterminate := s
	indeterminate.Indeterminate = true
	abandoned := func(at time.Time) State {
		a := indeterminate
		a.Abandoned = at
		return a
	}
	fresh := s
	fresh.Since = now
	for name, test := range map[string]struct {
		l    line
		want State
	}{
		"released: the nonce was not sent, or its outcome is known":            {line{State: s}, fresh},
		"released, indeterminate: the age of the nonce counts":                 {line{State: indeterminate}, indeterminate},
		"stopped: it may have sent the nonce, and another version's":           {line{State: s, LeaseEnd: moment.Add(time.Minute)}, abandoned(moment.Add(time.Minute))},
		"an earlier attempt of the request has stopped by now, whatever lease": {line{State: s, LeaseEnd: now.Add(time.Minute)}, abandoned(now)},
	} {
		assert.Equal(t, test.want, test.l.inherit(now), name)
	}
}

func TestAClaimIsReadByLaterReleasesAndByPeople(t *testing.T) {
	const text = `{"incarnation":"i","sequence":0,"owner":"o","requestId":"<&>","retryCount":0,"leaseEnd":"2026-11-25T08:01:00Z","generation":0,"since":"2026-11-25T08:00:00Z","mac":"MAC"}` + "\n"
	l := line{Incarnation: "i", Owner: "o", RequestID: "<&>", LeaseEnd: moment.Add(time.Minute), State: State{Since: moment}}
	written := auth.encode(&l, image)
	assert.Equal(t, strings.Replace(text, "MAC", l.MAC, 1), string(written))
	assert.Equal(t, "a01c1a786c279414a8cf26f0a35e23fc1011492a1cd6e83e919170fec908c519", l.MAC, "a release that signs otherwise forgets what claims know")

	unsigned, _, _ := strings.Cut(string(written), `,"mac"`)
	unsigned += `,"later":{"mac":"x"}`
	c := auth.parse(fmt.Appendf(nil, `%s,"mac":"%s"}`+"\n", unsigned, auth.mac([]byte(unsigned), image)), image, moment)
	assert.NotNil(t, c.last, "a member that this release does not know is covered all the same")
}

func TestTheKeyIsTheSecrets(t *testing.T) {
	assert.Len(t, NewKey("a"), 32)
	assert.Equal(t, NewKey("a"), NewKey("a"))
	assert.NotEqual(t, NewKey("a"), NewKey("b"))
	assert.NotContains(t, string(NewKey("secret")), "secret")
}

func TestVersionsDifferInEachMember(t *testing.T) {
	v := Version{ETag: "E1", LastModified: moment, VersionID: "v1"}
	assert.True(t, v.Equal(Version{ETag: "E1", LastModified: moment.In(time.FixedZone("", 8*3600)), VersionID: "v1"}))
	for _, other := range []Version{{ETag: "E2", LastModified: moment, VersionID: "v1"}, {ETag: "E1", LastModified: moment.Add(time.Second), VersionID: "v1"}, {ETag: "E1", LastModified: moment}} {
		assert.False(t, v.Equal(other), other)
	}
}

func TestTheLeaseIsReadWithoutTheKey(t *testing.T) {
	lines := func(leases ...time.Time) []byte {
		var body []byte
		previous := ""
		for i, lease := range leases {
			l := line{Incarnation: "i", Sequence: i, Previous: previous, Owner: "o", LeaseEnd: lease, State: State{Since: moment}}
			body = append(body, NewKey("canary").encode(&l, "cards/a.jpg")...)
			previous = l.MAC
		}
		return body
	}
	late := line{Incarnation: "other", Sequence: 4, Previous: "x", Owner: "o", State: State{Since: moment}}
	for name, test := range map[string]struct {
		body []byte
		want time.Time
	}{
		"held":                    {lines(moment.Add(time.Minute)), moment.Add(time.Minute)},
		"released":                {lines(moment.Add(time.Minute), time.Time{}), time.Time{}},
		"taken over":              {lines(moment.Add(-time.Minute), moment.Add(time.Hour)), moment.Add(time.Hour)},
		"over":                    {lines(moment), time.Time{}},
		"longer than any":         {lines(moment.Add(25 * time.Hour)), time.Time{}},
		"somebody's late line":    {append(lines(moment.Add(time.Minute)), NewKey("x").encode(&late, "y")...), moment.Add(time.Minute)},
		"no claim":                {[]byte("notes\n"), time.Time{}},
		"nothing":                 {nil, time.Time{}},
		"a claim and a torn line": {append(lines(moment.Add(time.Minute)), `{"incarnation":"i","seq`...), moment.Add(time.Minute)},
	} {
		assert.True(t, test.want.Equal(LeaseEnd(test.body, moment)), name)
	}
}
