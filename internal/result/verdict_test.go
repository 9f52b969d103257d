package result

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"fc-idcard-ocr/internal/idnumber"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Numbers with the right check digit.
const (
	man1990   = "110101199003071090"
	foreigner = "911840199003071096"
	hongKong  = "81000019900307109X"
	noSuch    = "430419199003071094" // given out by the police, and in no list
)

func judged(t *testing.T, c ocrclient.Card) (Card, Validation) {
	t.Helper()
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	d := &Document{}
	d.ApplyResponse(&ocrclient.Response{Recognized: true, Card: c}, now)
	require.NotNil(t, d.Card)
	require.NotNil(t, d.Validation)
	assert.Equal(t, d.Validation.Verdict == Consistent, d.Validation.Valid)
	assert.Equal(t, d.Validation.Valid, len(d.Validation.Reasons) == 0)
	for _, reason := range d.Validation.Reasons {
		assert.Contains(t, Reasons, reason)
	}
	return *d.Card, *d.Validation
}

func withCheckDigit(t *testing.T, seventeen string) string {
	t.Helper()
	for _, c := range "0123456789X" {
		if idnumber.Valid(seventeen + string(c)) {
			return seventeen + string(c)
		}
	}
	t.Fatalf("%q is not 17 digits", seventeen)
	return ""
}

func member(b *bool) string {
	switch {
	case b == nil:
		return "left out"
	case *b:
		return "true"
	}
	return "false"
}

func TestPrintedBirthDateIsComparedOnlyIfItIsUnderstood(t *testing.T) {
	number := withCheckDigit(t, man1990[:17])
	for printed, want := range map[string]struct {
		member  string
		verdict Verdict
		reason  Reason
		normal  string
	}{
		"":                          {"left out", Consistent, "", ""},
		" \u200b":                   {"left out", Consistent, "", ""},
		"1990-03-07":                {"true", Consistent, "", "1990-03-07"},
		"1990年3月7日":                 {"true", Consistent, "", "1990-03-07"},
		"1990年03月07号":               {"true", Consistent, "", "1990-03-07"},
		"１９９０年３月７日":                 {"true", Consistent, "", "1990-03-07"},
		"19900307":                  {"true", Consistent, "", "1990-03-07"},
		"1990.3.7":                  {"true", Consistent, "", "1990-03-07"},
		"1990／03／07":                {"true", Consistent, "", "1990-03-07"},
		"1990 03 07":                {"true", Consistent, "", "1990-03-07"},
		"1990–03–07":                {"true", Consistent, "", "1990-03-07"},
		"1990—03—07":                {"true", Consistent, "", "1990-03-07"},
		"1990\u221203\u221207":      {"true", Consistent, "", "1990-03-07"},
		"1990\u200b-03-\ufeff07":    {"true", Consistent, "", "1990-03-07"},
		"\u202e1990-03-07\u202c":    {"true", Consistent, "", "1990-03-07"},
		"1990⼀03⼀07":                {"left out", Doubtful, BirthDateUnreadable, "1990一03一07"},
		"1990-03-07 00:00:00":       {"true", Consistent, "", "1990-03-07"},
		"1990-03-07T00:00:00":       {"true", Consistent, "", "1990-03-07"},
		"1990-03-07T00:00:00.000Z":  {"true", Consistent, "", "1990-03-07"},
		"1990-03-07T00:00:00+08:00": {"true", Consistent, "", "1990-03-07"},
		"1990年3月7日 00:00":           {"true", Consistent, "", "1990-03-07"},
		"1990-03-07 12:30:15":       {"true", Consistent, "", "1990-03-07"},
		"1990-03-06T16:00:00Z":      {"left out", Doubtful, BirthDateUnreadable, "1990-03-06T16:00:00Z"},
		"1990-03-07 12:30 o'clock":  {"left out", Doubtful, BirthDateUnreadable, "1990-03-07 12:30 o'clock"},
		"07/03/1990":                {"left out", Doubtful, BirthDateUnreadable, "07/03/1990"},
		"07/07/1990":                {"false", Contradictory, BirthDateDiffers, "1990-07-07"},
		"07/03/1985":                {"false", Contradictory, BirthDateDiffers, "07/03/1985"},
		"13/03/1990":                {"false", Contradictory, BirthDateDiffers, "1990-03-13"},
		"1985-03-07":                {"false", Contradictory, BirthDateDiffers, "1985-03-07"},
		"１９８５年３月７日":                 {"false", Contradictory, BirthDateDiffers, "1985-03-07"},
		"1985-03-07 00:00:00":       {"false", Contradictory, BirthDateDiffers, "1985-03-07"},
		"1985-02-30":                {"false", Contradictory, PrintedBirthDateImpossible, "1985-02-30"},
		"1990-13-07":                {"false", Contradictory, PrintedBirthDateImpossible, "1990-13-07"},
		"32/13/1990":                {"false", Contradictory, PrintedBirthDateImpossible, "32/13/1990"},
		"0000-00-00":                {"false", Contradictory, PrintedBirthDateImpossible, "0000-00-00"},
		"198X-0X-XX":                {"left out", Doubtful, BirthDateUnreadable, "198X-0X-XX"},
		"90-03-07":                  {"left out", Doubtful, BirthDateUnreadable, "90-03-07"},
		"1990-03":                   {"left out", Doubtful, BirthDateUnreadable, "1990-03"},
		"1990-03-07-01":             {"left out", Doubtful, BirthDateUnreadable, "1990-03-07-01"},
		"一九九〇年三月七日":                 {"left out", Doubtful, BirthDateUnreadable, "一九九〇年三月七日"},
		"1990-03-\n07":              {"true", Consistent, "", "1990-03-07"},
	} {
		card, v := judged(t, ocrclient.Card{IDNumber: number, BirthDate: printed})
		assert.Equal(t, want.member, member(v.BirthDate), printed)
		assert.Equal(t, want.verdict, v.Verdict, printed)
		assert.Equal(t, want.normal, card.BirthDate, printed)
		if want.reason == "" {
			assert.Empty(t, v.Reasons, printed)
		} else {
			assert.Equal(t, []Reason{want.reason}, v.Reasons, printed)
		}
	}
}

func TestPrintedSexIsComparedOnlyIfItIsUnderstood(t *testing.T) {
	number := withCheckDigit(t, "11010119900307109") // a man's
	for printed, want := range map[string]struct{ member, normal string }{
		"":            {"left out", ""},
		"男":           {"true", "男"},
		"男性":          {"true", "男"},
		"性别男":         {"true", "男"},
		"性别：男":        {"true", "男"},
		"M":           {"true", "男"},
		"Ｍale":        {"true", "男"},
		"男\u200b\n":   {"true", "男"},
		"女":           {"false", "女"},
		"女性":          {"false", "女"},
		"性别女":         {"false", "女"},
		"⼥":           {"false", "女"},
		"F":           {"false", "女"},
		"female":      {"false", "女"},
		"未知":          {"doubt", "未知"},
		"1":           {"doubt", "1"},
		"男女":          {"doubt", "男女"},
		"性别":          {"doubt", "性别"},
		"\ufffd":      {"doubt", "\ufffd"},
		"male female": {"doubt", "male female"},
	} {
		card, v := judged(t, ocrclient.Card{IDNumber: number, Sex: printed})
		assert.Equal(t, want.normal, card.Sex, printed)
		switch want.member {
		case "doubt":
			assert.Nil(t, v.Sex, printed)
			assert.Equal(t, Doubtful, v.Verdict, printed)
			assert.Equal(t, []Reason{SexUnreadable}, v.Reasons, printed)
		case "false":
			assert.Equal(t, "false", member(v.Sex), printed)
			assert.Equal(t, []Reason{SexDiffers}, v.Reasons, printed)
			assert.Equal(t, Contradictory, v.Verdict, printed)
		default:
			assert.Equal(t, want.member, member(v.Sex), printed)
			assert.True(t, v.Valid, printed)
		}
	}
}

func TestNumbersAreJudgedByTheirKind(t *testing.T) {
	const none = "left out"
	for number, want := range map[string]struct {
		kind                     idnumber.Kind
		verdict                  Verdict
		checkDigit, region, born string
		reasons                  []Reason
	}{
		"11010519491231002X":                   {idnumber.Resident, Consistent, "true", "true", none, nil},
		withCheckDigit(t, "33011319900307109"): {idnumber.Resident, Consistent, "true", "true", none, nil},
		withCheckDigit(t, noSuch[:17]):         {idnumber.Resident, Doubtful, "true", "false", none, []Reason{RegionUnknown}},
		withCheckDigit(t, "32021919900307109"): {idnumber.Resident, Doubtful, "true", "false", none, []Reason{RegionUnknown}},
		withCheckDigit(t, foreigner[:17]):      {idnumber.ForeignPermanentResident, Consistent, "true", none, none, nil},
		withCheckDigit(t, hongKong[:17]):       {idnumber.HongKongMacaoTaiwan, Consistent, "true", "true", none, nil},
		withCheckDigit(t, "83000019900307109"): {idnumber.HongKongMacaoTaiwan, Consistent, "true", "true", none, nil},
		withCheckDigit(t, "00000019900307109"): {idnumber.UnknownKind, Doubtful, "true", "false", none, []Reason{RegionUnknown}},
		"110105491231002":                      {idnumber.FifteenDigit, Doubtful, none, "true", none, []Reason{NoCheckDigit}},
		"430419491231002":                      {idnumber.FifteenDigit, Doubtful, none, "false", none, []Reason{RegionUnknown, NoCheckDigit}},
		"110105490229002":                      {idnumber.FifteenDigit, Contradictory, none, "true", "false", []Reason{BirthDateImpossible, NoCheckDigit}},
		"110105194912310021":                   {idnumber.Resident, Contradictory, "false", "true", none, []Reason{CheckDigitWrong}},
		withCheckDigit(t, "11010519490229002"): {idnumber.Resident, Contradictory, "true", "true", "false", []Reason{BirthDateImpossible}},
		withCheckDigit(t, "11010520990101002"): {idnumber.Resident, Contradictory, "true", "true", "false", []Reason{BirthDateImpossible}},
		"*********01211122":                    {idnumber.UnknownKind, Contradictory, "false", none, none, []Reason{NumberMalformed}},
		"1101051949123100":                     {idnumber.UnknownKind, Contradictory, "false", none, none, []Reason{NumberMalformed}},
	} {
		_, v := judged(t, ocrclient.Card{IDNumber: number})
		assert.Equal(t, want.kind, v.NumberKind, number)
		assert.Equal(t, want.verdict, v.Verdict, number)
		assert.Equal(t, want.checkDigit, member(v.CheckDigit), number)
		assert.Equal(t, want.region, member(v.Region), number)
		assert.Equal(t, want.born, member(v.BirthDate), number)
		assert.Equal(t, want.reasons, v.Reasons, number)
	}
}

func TestContradictionsComeBeforeDoubts(t *testing.T) {
	_, v := judged(t, ocrclient.Card{IDNumber: withCheckDigit(t, noSuch[:17]), Sex: "女", BirthDate: "198X"})
	assert.Equal(t, []Reason{SexDiffers, RegionUnknown, BirthDateUnreadable}, v.Reasons)
	assert.Equal(t, Contradictory, v.Verdict)
}

// The published sets are those of the code.
func TestSchemaListsCodesReasonsAndKinds(t *testing.T) {
	text, err := os.ReadFile("../../docs/result.schema.json")
	require.NoError(t, err)
	type enum struct{ Enum []string }
	var schema struct {
		Properties struct {
			Error      struct{ Properties struct{ Code enum } }
			Validation struct {
				Properties struct {
					Verdict, NumberKind enum
					Reasons             struct{ Items enum }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	assert.Equal(t, texts(Codes), schema.Properties.Error.Properties.Code.Enum)
	assert.Equal(t, texts(Reasons), schema.Properties.Validation.Properties.Reasons.Items.Enum)
	assert.ElementsMatch(t, texts([]Verdict{Consistent, Contradictory, Doubtful}), schema.Properties.Validation.Properties.Verdict.Enum)
	assert.ElementsMatch(t, texts([]idnumber.Kind{idnumber.Resident, idnumber.HongKongMacaoTaiwan, idnumber.ForeignPermanentResident, idnumber.FifteenDigit,
		idnumber.UnknownKind}), schema.Properties.Validation.Properties.NumberKind.Enum)
}

func texts[T ~string](values []T) []string {
	return slices.Collect(func(yield func(string) bool) {
		for _, v := range values {
			if !yield(string(v)) {
				return
			}
		}
	})
}
