package explorer

import (
	"strings"
	"testing"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

// past lists schedules that once broke a promise, by the rule that they are about.
var past = []struct {
	rule          string
	schedule      Schedule
	charged, told int
	document      string
}{
	{"an image that was replaced and put back during the call is paid for again, and has its own card",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.POST/1", "upload B"},
			{"1.HEAD image/2", "upload A"},
		}}, 2, 0, "recognized"},
	{"a picture that was replaced before it was read is begun anew, and nothing is paid for the old one",
		Schedule{Setup{Source: "data", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.GET image/1", "upload B"},
		}}, 1, 0, "recognized"},
	{"a DELETE whose reply was lost is not sent again when the claim is another holder's",
		Schedule{Setup{Source: "data", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.PUT document/1", "upload B"},
			{"1.DELETE claim/1", "reply lost"},
			{"1.GET claim/1", "deliver event2"},
			{"2.POST/1", "first 1.GET claim/1"},
		}}, 2, 0, "recognized"},
	{"a late append to a claim that was made anew changes nothing",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"deliver 1", "wait 1 s"},
			{"1.POST/1", "refused"},
			{"1.APPEND claim/2", "crash, late"},
			{"deliver 2", "delete claim"},
			{"2.POST/1", "land 1.APPEND claim/2"},
			{"2.HEAD image/2", "crash"},
		}}, 2, 1, "recognized"},
	{"a failure that is written late covers no document",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 1}, []Deviation{
			{"1.POST/1", "refused"},
			{"1.PUT document/1", "crash, late"},
			{"end/1", "land 1.PUT document/1"},
		}}, 1, 0, "recognized"},
	{"a paid document that is written after a newer one is noticed, and the newer version's call is told as charged twice",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.PUT document/1", "late"},
			{"1.PUT document/2", "upload B"},
			{"end/1", "land 1.PUT document/1"},
		}}, 3, 1, "recognized"},
	{"a nonce that the gateway may have forgotten while the call waited counts as a possible charge",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3, Slow: true}, []Deviation{
			{"1.POST/1", "reply lost"},
		}}, 2, 1, "recognized"},
	{"and is not sent again with OCR_ON_LOST_ANSWER=park",
		Schedule{Setup{Source: "url", OnLost: "park", MaxAttempts: 3, Slow: true}, []Deviation{
			{"1.POST/1", "reply lost"},
		}}, 1, 1, "AnswerLost"},
	{"a document without its metadata settles its image",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3, Outsiders: true}, []Deviation{
			{"end/1", "strip metadata"},
			{"end/2", "duplicate"},
		}}, 1, 0, "recognized"},
	{"an image in a bucket that refuses appends is recognised when the bucket is mended",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3, Outsiders: true}, []Deviation{
			{"deliver 1", "refuse appends"},
		}}, 1, 0, "recognized"},
	{"a claim that somebody else has made holds nobody up",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3, Outsiders: true}, []Deviation{
			{"deliver 1", "plant claim"},
		}}, 1, 0, "recognized"},
	{"an object that is no claim is refused with a retryable document until it is removed",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3, Outsiders: true}, []Deviation{
			{"deliver 1", "plant no claim"},
		}}, 1, 0, "recognized"},
	{"a final failure that could not be written is not forgotten",
		Schedule{Setup{Source: "url", OnLost: "park", MaxAttempts: 1}, []Deviation{
			{"1.POST/1", "reply lost"},
			{"2.HEAD document/2", "down"},
		}}, 1, 1, string(result.AnswerLost)},
	{"a final failure that waits in the claim does not cover a paid document that came late",
		Schedule{Setup{Source: "url", OnLost: "park", MaxAttempts: 3}, []Deviation{
			{"1.PUT document/1", "crash, late"},
			{"2.PUT document/1", "down"},
			{"2.APPEND claim/3", "land 1.PUT document/1"},
		}}, 1, 0, "recognized"},
	{"calls that a document does not tell of, as it came late, are told by it afterwards",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.PUT document/1", "crash, late"},
			{"2.HEAD image/1", "land 1.PUT document/1"},
			{"2.POST/2", "reply lost"},
		}}, 2, 1, "recognized"},
	{"and so is one whose outcome is not known",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.PUT document/1", "crash, late"},
			{"2.HEAD image/1", "land 1.PUT document/1"},
			{"2.POST/2", "crash after"},
		}}, 2, 1, "recognized"},
	{"an answer in the memory of a process does not cover the document of the holder who paid again",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 3}, []Deviation{
			{"1.PUT document/1", "down"},
			{"1.APPEND claim/2", "down"},
			{"end/1", "duplicate to the first process"},
		}}, 2, 1, "recognized"},
	{"calls for an image that is gone are told in the claim",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 1}, []Deviation{
			{"1.HEAD image/2", "wait 16 min"},
			{"2.HEAD image/2", "delete image"},
		}}, 2, 1, "none"},
	{"the failure of a forced call covers no document",
		Schedule{Setup{Source: "url", OnLost: "retry", MaxAttempts: 1, Forced: true}, []Deviation{
			{"end/1", "force"},
			{"2.POST/1", "refused"},
		}}, 1, 0, "recognized"},
	{"a holder that is taken over while it runs is not paid a second time with OCR_ON_LOST_ANSWER=park",
		Schedule{Setup{Source: "url", OnLost: "park", MaxAttempts: 3, Zombies: true}, []Deviation{
			{"1.POST/1", "retry early"},
			{"2.POST/1", "first 1.POST/1"},
		}}, 1, 0, "recognized"},
	{"a delivery without a claim covers no document of a versioned bucket",
		Schedule{Setup{Source: "data", OnLost: "retry", MaxAttempts: 3, Versioned: true}, []Deviation{
			{"1.APPEND claim/1", "duplicate"},
			{"2.APPEND claim/1", "down"},
			{"2.PUT document/1", "duplicate"},
		}}, 1, 0, "recognized"},
}

func TestPastSchedules(t *testing.T) {
	for _, p := range past {
		t.Run(p.rule, func(t *testing.T) {
			r := Replay(t, p.schedule)
			ok := assert.Empty(t, r.Violations)
			ok = assert.Zero(t, r.Unused, "deviations do not fit any more") && ok
			ok = assert.Equal(t, p.charged, r.Charged, "charged") && ok
			ok = assert.Equal(t, p.told, r.Told, "extra charges told") && ok
			if !assert.Equal(t, p.document, r.Document) || !ok {
				t.Log(strings.Join(r.Steps, "\n"))
			}
		})
	}
}
