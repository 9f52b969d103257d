package result

import (
	"strings"
	"time"

	"fc-idcard-ocr/internal/idnumber"
)

// Validation is what the ID number says of itself and of the card around it. Members that cannot be judged, because the
// card does not print them, are left out.
type Validation struct {
	Valid      bool  `json:"valid"`                // every other member holds
	CheckDigit *bool `json:"checkDigit,omitempty"` // GB 11643: 18 characters, the last fits the others
	Region     *bool `json:"region,omitempty"`     // GB/T 2260: the first six digits are or were a county
	BirthDate  *bool `json:"birthDate,omitempty"`  // the number's is a date, in the past, and the printed one
	Sex        *bool `json:"sex,omitempty"`        // the number's is the printed one
}

// isoDate writes a date as 2006-01-02 if it can be read as one, and leaves it as it is if not ("198X-0X-XX").
func isoDate(s string) string {
	plain := strings.TrimSuffix(strings.NewReplacer("年", "-", "月", "-", "/", "-", ".", "-", " ", "").Replace(s), "日")
	for _, layout := range []string{"2006-1-2", "20060102"} {
		if t, err := time.Parse(layout, plain); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return s
}

func validate(c Card, now time.Time) *Validation {
	yes, no := true, false
	v := &Validation{CheckDigit: &no}
	number, err := idnumber.Parse(c.IDNumber)
	if err != nil {
		return v
	}
	judge := func(ok bool) *bool {
		if ok {
			return &yes
		}
		return &no
	}
	v.CheckDigit = judge(number.CheckDigit())
	_, known := number.Region()
	v.Region = judge(known)
	born, isDate := number.BirthDate()
	isDate = isDate && !born.After(now)
	if printed, err := time.Parse(time.DateOnly, c.BirthDate); err == nil {
		v.BirthDate = judge(isDate && printed.Equal(born))
	} else if !isDate {
		v.BirthDate = &no
	}
	if c.Sex == idnumber.Male.String() || c.Sex == idnumber.Female.String() {
		v.Sex = judge(c.Sex == number.Sex().String())
	}
	v.Valid = true
	for _, member := range []*bool{v.CheckDigit, v.Region, v.BirthDate, v.Sex} {
		v.Valid = v.Valid && (member == nil || *member)
	}
	return v
}
