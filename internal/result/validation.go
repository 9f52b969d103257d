package result

import (
	"slices"
	"time"

	"fc-idcard-ocr/internal/idnumber"
	"fc-idcard-ocr/ocrclient"
)

// Verdict sums a validation up.
type Verdict string

// The verdicts.
const (
	Consistent    Verdict = "consistent"    // everything that the card shows fits together
	Contradictory Verdict = "contradictory" // something does not
	Doubtful      Verdict = "doubtful"      // nothing does not, but something could not be judged, or the region is in no list
)

// Reason says why a verdict is not Consistent.
type Reason string

// The reasons. Those up to SexDiffers are contradictions, the others doubts.
const (
	NumberMalformed            Reason = "number-malformed"              // neither 17 digits and a digit or X, nor 15 digits
	CheckDigitWrong            Reason = "check-digit-wrong"             // a digit was misread, or the number is invented
	BirthDateImpossible        Reason = "birth-date-impossible"         // the number has no such day, or one in the future
	PrintedBirthDateImpossible Reason = "printed-birth-date-impossible" // there is no such day
	BirthDateDiffers           Reason = "birth-date-differs"            // number and print have two days
	SexDiffers                 Reason = "sex-differs"                   // number and print have two sexes
	RegionUnknown              Reason = "region-unknown"                // no list of regions has it; the police gave out such numbers
	NoCheckDigit               Reason = "no-check-digit"                // of 15 digits
	BirthDateUnreadable        Reason = "birth-date-unreadable"         // what is printed is not understood, or can be two days
	SexUnreadable              Reason = "sex-unreadable"                // what is printed is not understood
)

// Reasons lists the closed set, in the order in which a document has them.
var Reasons = []Reason{NumberMalformed, CheckDigitWrong, BirthDateImpossible, PrintedBirthDateImpossible, BirthDateDiffers, SexDiffers,
	RegionUnknown, NoCheckDigit, BirthDateUnreadable, SexUnreadable}

// doubts are the reasons that are no contradiction.
var doubts = Reasons[slices.Index(Reasons, RegionUnknown):]

// Validation is what the ID number says of itself and of the card around it. Members that cannot be judged are left out: the card
// does not print what they are compared with, what it prints is not understood, or numbers of this kind have no such part.
type Validation struct {
	Valid      bool          `json:"valid"` // Verdict is Consistent
	Verdict    Verdict       `json:"verdict"`
	NumberKind idnumber.Kind `json:"numberKind"`
	CheckDigit *bool         `json:"checkDigit,omitempty"` // GB 11643: 18 characters, the last fits the others
	Region     *bool         `json:"region,omitempty"`     // GB/T 2260: the first six digits are or were a county
	BirthDate  *bool         `json:"birthDate,omitempty"`  // the number's is a date, in the past, and the printed one
	Sex        *bool         `json:"sex,omitempty"`        // the number's is the printed one
	Reasons    []Reason      `json:"reasons,omitempty"`    // none if consistent
}

// validate judges a card as the provider wrote it; number is its ID number in normal form.
func validate(printed ocrclient.Card, number string, now time.Time) *Validation {
	v := &Validation{NumberKind: idnumber.UnknownKind}
	n, err := idnumber.Parse(number)
	if err != nil {
		n, err = idnumber.ParseFirstGeneration(number)
	}
	if err != nil {
		v.CheckDigit = v.judge(false, NumberMalformed)
	} else {
		v.NumberKind = n.Kind()
		v.judgeNumber(n)
		v.judgeBirthDate(n, printed.BirthDate, now)
		v.judgeSex(n, printed.Sex)
	}
	v.sum()
	return v
}

func (v *Validation) judgeNumber(n idnumber.Number) {
	if v.NumberKind == idnumber.FifteenDigit {
		v.note(NoCheckDigit)
	} else {
		v.CheckDigit = v.judge(n.CheckDigit(), CheckDigitWrong)
	}
	if v.NumberKind != idnumber.ForeignPermanentResident {
		_, known := n.Region()
		v.Region = v.judge(known, RegionUnknown)
	}
}

func (v *Validation) judgeBirthDate(n idnumber.Number, printed string, now time.Time) {
	born, isDate := n.BirthDate()
	days, impossible := readDate(printed)
	switch {
	case !isDate || born.After(now):
		v.BirthDate = v.judge(false, BirthDateImpossible)
	case impossible:
		v.BirthDate = v.judge(false, PrintedBirthDateImpossible)
	case len(days) > 0 && !slices.ContainsFunc(days, born.Equal):
		v.BirthDate = v.judge(false, BirthDateDiffers)
	case len(days) == 1:
		v.BirthDate = v.judge(true, "")
	case folded(printed) != "":
		v.note(BirthDateUnreadable)
	}
}

func (v *Validation) judgeSex(n idnumber.Number, printed string) {
	if sex := readSex(printed); sex != 0 {
		v.Sex = v.judge(sex == n.Sex(), SexDiffers)
	} else if folded(printed) != "" {
		v.note(SexUnreadable)
	}
}

// judge returns a member, and notes the reason if it does not hold.
func (v *Validation) judge(holds bool, reason Reason) *bool {
	if !holds {
		v.note(reason)
	}
	return &holds
}

func (v *Validation) note(reason Reason) { v.Reasons = append(v.Reasons, reason) }

func (v *Validation) sum() {
	slices.SortFunc(v.Reasons, func(a, b Reason) int { return slices.Index(Reasons, a) - slices.Index(Reasons, b) })
	v.Verdict = Consistent
	if len(v.Reasons) > 0 {
		v.Verdict = Doubtful
		if !slices.Contains(doubts, v.Reasons[0]) { // contradictions come first
			v.Verdict = Contradictory
		}
	}
	v.Valid = v.Verdict == Consistent
}

// Contradicts reports whether something on the card does not fit. Documents of releases before 0.2 have no verdict: what was not
// valid in them did not fit.
func (v *Validation) Contradicts() bool {
	return v.Verdict == Contradictory || v.Verdict == "" && !v.Valid
}
