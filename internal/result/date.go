package result

import (
	"strings"
	"time"
	"unicode"
)

// readDate returns the days that s can mean: none if it is no date, or if there is no such day, which impossible tells; two if day
// and month can be exchanged.
func readDate(s string) (days []time.Time, impossible bool) {
	s, ok := withoutTime(strings.ToUpper(folded(s)))
	if !ok {
		return nil, false
	}
	if strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && !dateSeparator(r) }) {
		return nil, false
	}
	groups := strings.FieldsFunc(s, dateSeparator)
	if len(groups) == 1 && len(groups[0]) == 8 {
		groups = []string{groups[0][:4], groups[0][4:6], groups[0][6:]}
	}
	if len(groups) != 3 {
		return nil, false
	}
	readings := [][3]string{{groups[0], groups[1], groups[2]}} // year, month, day
	if len(groups[2]) == 4 {
		readings = [][3]string{{groups[2], groups[1], groups[0]}, {groups[2], groups[0], groups[1]}}
	}
	for _, r := range readings {
		if len(r[0]) != 4 || len(r[1]) > 2 || len(r[2]) > 2 {
			return nil, false
		}
		day, err := time.Parse("2006-1-2", strings.Join(r[:], "-"))
		if err == nil && (len(days) == 0 || !days[0].Equal(day)) {
			days = append(days, day)
		}
	}
	return days, len(days) == 0
}

func dateSeparator(r rune) bool {
	return strings.ContainsRune("年月日号 /.,_\u2212·", r) || unicode.Is(unicode.Pd, r)
}

// withoutTime cuts the time of day off a date. One with an offset from UTC must be midnight: any other may belong to another day
// where the card was printed.
func withoutTime(s string) (date string, ok bool) {
	colon := strings.IndexByte(s, ':')
	if colon < 0 {
		return s, true
	}
	date = strings.TrimRight(s[:colon], "0123456789")
	clock := strings.ReplaceAll(s[len(date):], " ", "")
	for _, layout := range []string{"15:04:05", "15:04"} { // fractions of a second are taken with them
		if _, err := time.Parse(layout, clock); err == nil {
			return strings.TrimRight(date, "T "), true
		}
		for _, offset := range []string{"Z07:00", "Z0700"} {
			if t, err := time.Parse(layout+offset, clock); err == nil {
				return strings.TrimRight(date, "T "), t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0
			}
		}
	}
	return "", false
}
