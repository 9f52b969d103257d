package config

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// ownPrefix begins the names of variables that nobody else has, so that an unknown one is a mistake. Of the prefixes that others
// use too, only names near one of ours are.
const ownPrefix = "OCR_"

const (
	near    = 2  // how many letters a misspelt name differs in
	maxName = 64 // longer names are no mistake of spelling
)

// names refuses variables that are set and look like misspelt ones of Config.
func (p *problems) names(values map[string]string) {
	known := Names()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] == "" || len(name) > maxName || slices.Contains(known, name) {
			continue
		}
		upper := strings.ToUpper(name)
		nearest := slices.MinFunc(known, func(a, b string) int { return distance(upper, a) - distance(upper, b) })
		if strings.HasPrefix(upper, ownPrefix) || distance(upper, nearest) <= near {
			p.found = append(p.found, problem{variable: strings.ToValidUTF8(strings.Map(visible, name), "?"), what: "no such variable", accepts: nearest + " is the nearest name"})
		}
	}
}

func visible(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// distance is how many letters have to be put in, taken out or changed to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// characters refuses values in quotes and values with characters that are not seen: both come with copying, and neither is meant.
// HTTP_ALLOW is compared with keys, which may have any character.
func (p *problems) characters(values map[string]string) {
	for _, name := range Names() {
		value := []rune(values[name])
		if i := slices.IndexFunc(value, Unseen); i >= 0 && name != "HTTP_ALLOW" {
			p.add(name, "holds %U, a character that is not seen", value[i])
		}
		if len(value) > 1 && slices.Contains([]string{`""`, "''", "``", "“”", "‘’"}, string([]rune{value[0], value[len(value)-1]})) {
			p.add(name, "stands in quotes")
		}
	}
}

// Unseen reports whether a character has no picture of its own: control and format characters, line separators, fillers.
func Unseen(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
