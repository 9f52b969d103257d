package idnumber

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The two examples of GB 11643-1999, annex A.
const (
	standardFemale = "11010519491231002X"
	standardMale   = "440524188001010014"
)

func mustParse(t testing.TB, s string) Number {
	t.Helper()
	n, err := Parse(s)
	require.NoError(t, err)
	return n
}

func TestExamplesOfTheStandard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		number string
		birth  string
		sex    Sex
		region string
	}{
		{standardFemale, "1949-12-31", Female, "北京市朝阳区"},
		{standardMale, "1880-01-01", Male, "广东省汕头市潮阳县"},
	}
	for _, tt := range tests {
		n := mustParse(t, tt.number)
		assert.True(t, n.CheckDigit())
		birth, ok := n.BirthDate()
		assert.True(t, ok)
		assert.Equal(t, tt.birth, birth.Format(time.DateOnly))
		assert.Equal(t, tt.sex, n.Sex())
		region, ok := n.Region()
		assert.True(t, ok)
		assert.Equal(t, tt.region, region)
		assert.Equal(t, tt.number, n.Plain())
		assert.True(t, Valid(tt.number))
	}
}

func TestParseFoldsTheWaysANumberIsWritten(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"as printed":          "11010519491231002X",
		"lower-case x":        "11010519491231002x",
		"blanks around it":    " \t11010519491231002X\r\n",
		"ideographic blank":   "　11010519491231002X　",
		"full-width":          "１１０１０５１９４９１２３１００２Ｘ",
		"full-width lower x":  "11010519491231002ｘ",
		"widths mixed":        "11０10519４91231００2X",
		"no-break blank":      "\u00a011010519491231002X",
		"full-width and line": "１１０１０５１９４９１２３１００２Ｘ\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(s)
			require.NoError(t, err)
			assert.Equal(t, standardFemale, n.Plain())
		})
	}
}

func TestParseRefusesAndSaysWhatIsAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		s    string
		want error
	}{
		"empty":                   {"", ErrLength},
		"only blanks":             {"   ", ErrLength},
		"one digit short":         {"1101051949123100X", ErrLength},
		"one digit too many":      {"1101051949123100211", ErrLength},
		"very long":               {strings.Repeat("1", 1<<16), ErrLength},
		"first generation":        {"110105491231002", ErrFirstGeneration},
		"letter at the end":       {"11010519491231002Y", ErrCharacter},
		"X too early":             {"1101051949123100X2", ErrCharacter},
		"blank inside":            {"110105 9491231002X", ErrCharacter},
		"asterisks":               {"110***********002X", ErrCharacter},
		"Arabic-Indic digits":     {"١١٠١٠٥١٩٤٩١٢٣١٠٠٢١", ErrCharacter},
		"broken UTF-8":            {"11010519491231002\xff", ErrCharacter},
		"hanzi":                   {"公民身份号码公民身份号码公民身份号码", ErrCharacter},
		"multiplication sign":     {"11010519491231002×", ErrCharacter},
		"NUL":                     {"11010519491231\x00021", ErrCharacter},
		"minus in the birth date": {"110105-9491231002X", ErrCharacter},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(tt.s)
			require.ErrorIs(t, err, tt.want)
			assert.Contains(t, err.Error(), "17 digits followed by a digit or X")
			assert.Zero(t, n)
			assert.False(t, Valid(tt.s))
		})
	}
}

func TestErrorTextsShowNothingOfTheNumber(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"1101051949123100", "110105491231002", "11010519491231002Y"} {
		_, err := Parse(s)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), s[:6])
		assert.NotContains(t, err.Error(), s[len(s)-4:])
	}
}

func TestCheckDigitFailsForEveryMisreadCharacter(t *testing.T) {
	t.Parallel()
	for i := range standardFemale {
		for _, c := range "0123456789X" {
			s := standardFemale[:i] + string(c) + standardFemale[i+1:]
			if s == standardFemale || c == 'X' && i != Length-1 {
				continue
			}
			assert.False(t, mustParse(t, s).CheckDigit(), s)
			assert.False(t, Valid(s), s)
		}
	}
}

func TestCheckDigitFailsForNeighboursExchanged(t *testing.T) {
	t.Parallel()
	for i := range Length - 2 {
		if standardFemale[i] == standardFemale[i+1] {
			continue
		}
		s := standardFemale[:i] + standardFemale[i+1:i+2] + standardFemale[i:i+1] + standardFemale[i+2:]
		assert.False(t, Valid(s), s)
	}
}

// The standard gives weights; the code computes recursively. Both must agree, and exactly one character fits each 17 digits.
func TestCheckCharacterAgreesWithTheWeightsOfTheStandard(t *testing.T) {
	t.Parallel()
	weights := [Length - 1]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	random := rand.New(rand.NewPCG(11643, 1999))
	for range 2000 {
		digits := make([]byte, Length-1)
		sum := 0
		for i := range digits {
			d := random.IntN(10)
			digits[i] = byte('0' + d)
			sum += d * weights[i]
		}
		want := "10X98765432"[sum%11]
		require.Equal(t, want, checkCharacter(string(digits)), string(digits))
		fitting := 0
		for _, c := range "0123456789X" {
			if Valid(string(digits) + string(c)) {
				fitting++
			}
		}
		require.Equal(t, 1, fitting, string(digits))
	}
}

func TestBirthDateIsADayOfTheCalendar(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		date string
		ok   bool
	}{
		"last day of a year":          {"19491231", true},
		"leap day":                    {"20000229", true},
		"leap day of a common year":   {"20010229", false},
		"leap day of a common 1900":   {"19000229", false},
		"31 in a month of 30":         {"19800431", false},
		"30 February":                 {"19800230", false},
		"month 13":                    {"19801301", false},
		"month 0":                     {"19800001", false},
		"day 0":                       {"19800100", false},
		"day 32":                      {"19800132", false},
		"year 0":                      {"00000101", false},
		"year 1":                      {"00010101", true},
		"far future is not judged":    {"99991231", true},
		"everything out of its range": {"99999999", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			date, ok := mustParse(t, "110105"+tt.date+"0021").BirthDate()
			require.Equal(t, tt.ok, ok)
			if tt.ok {
				assert.Equal(t, tt.date, date.Format("20060102"))
				assert.Equal(t, time.UTC, date.Location())
			} else {
				assert.Zero(t, date)
			}
		})
	}
}

func TestSexFollowsTheSequenceCode(t *testing.T) {
	t.Parallel()
	for digit := range 10 {
		n := mustParse(t, fmt.Sprintf("1101051949123100%dX", digit))
		if digit%2 == 1 {
			assert.Equal(t, Male, n.Sex())
			assert.Equal(t, "男", n.Sex().String())
		} else {
			assert.Equal(t, Female, n.Sex())
			assert.Equal(t, "女", n.Sex().String())
		}
	}
}

func TestKindFollowsTheFirstDigits(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]Kind{
		standardFemale:       Resident,
		"659012199003071090": Resident,
		"430419199003071090": Resident, // a region of no list, in a province
		"710000199003071090": Resident,
		"810000199003071090": HongKongMacaoTaiwan,
		"820000199003071090": HongKongMacaoTaiwan,
		"830000199003071090": HongKongMacaoTaiwan,
		"911840199003071090": ForeignPermanentResident,
		"840000199003071090": UnknownKind,
		"800000199003071090": UnknownKind,
		"000000199003071090": UnknownKind,
		"160000199003071090": UnknownKind,
	} {
		assert.Equal(t, want, mustParse(t, number).Kind(), number)
	}
	_, ok := mustParse(t, "911840199003071090").Region()
	assert.False(t, ok, "the digits are no region")
}

func TestFirstGenerationNumbersHaveNoCheckDigit(t *testing.T) {
	t.Parallel()
	n, err := ParseFirstGeneration(" １10105491231002\n")
	require.NoError(t, err)
	assert.Equal(t, FifteenDigit, n.Kind())
	assert.Equal(t, "110105491231002", n.Plain())
	assert.False(t, n.CheckDigit())
	assert.Equal(t, Female, n.Sex())
	born, ok := n.BirthDate()
	assert.True(t, ok)
	assert.Equal(t, "1949-12-31", born.Format(time.DateOnly))
	region, ok := n.Region()
	assert.True(t, ok)
	assert.Equal(t, "北京市朝阳区", region)
	assert.Equal(t, "110********1002", n.String())
	male, err := ParseFirstGeneration("110105490229001")
	require.NoError(t, err)
	assert.Equal(t, Male, male.Sex())
	_, ok = male.BirthDate()
	assert.False(t, ok, "1949 is no leap year")

	for s, want := range map[string]error{"": ErrLength, "11010549123100": ErrLength, standardFemale: ErrLength, "11010549123100X": ErrCharacter, "1101054912 1002": ErrCharacter} {
		n, err := ParseFirstGeneration(s)
		assert.ErrorIs(t, err, want, s)
		assert.Zero(t, n)
	}
}

func TestCompactDropsWhatSeparatesAndNothingElse(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"110105 19491231 002X": standardFemale,
		"110105-19491231-002x": standardFemale,
		"１１０１０５１９４９１２３１００２ｘ":                   standardFemale,
		"\ufeff110105\u200b19491231\u2060002X": standardFemale,
		"110105–19491231—002X":                 standardFemale,
		"110105\u221219491231.002,X\n":         standardFemale,
		"110105_19491231·002X\u202c":           standardFemale,
		"1101 05":                              "110105",
	} {
		got, ok := Compact(s)
		assert.True(t, ok, s)
		assert.Equal(t, want, got, s)
	}
	for _, s := range []string{"", " -", "110105*9491231002X", "110105?9491231002X", "110105O9491231002X", "号110105", "\xff110105", "①10105"} {
		_, ok := Compact(s)
		assert.False(t, ok, s)
	}
}

func TestZeroNumberHoldsNothing(t *testing.T) {
	t.Parallel()
	var n Number
	assert.False(t, n.CheckDigit())
	_, ok := n.BirthDate()
	assert.False(t, ok)
	_, ok = n.Region()
	assert.False(t, ok)
	assert.Equal(t, UnknownKind, n.Kind())
	assert.Empty(t, n.Sex().String())
	assert.Empty(t, n.Plain())
	assert.Empty(t, n.String())
}

func TestNumberIsMaskedHoweverItIsPrinted(t *testing.T) {
	t.Parallel()
	n := mustParse(t, standardFemale)
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("card", "number", n, "group", []any{n}, "holder", struct{ N Number }{n})
	slog.New(slog.NewTextHandler(&log, nil)).Info("card", "number", n, "pointer", &n)
	encoded, err := json.Marshal(map[string]any{"n": n, "p": &n})
	require.NoError(t, err)
	shown := []string{log.String(), string(encoded), fmt.Sprint(n, &n), fmt.Errorf("number %v", n).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s"} {
		shown = append(shown, fmt.Sprintf(verb, n), fmt.Sprintf(verb, &n), fmt.Sprintf(verb, []Number{n}))
	}
	for _, text := range shown {
		assert.Contains(t, text, "110***********002X")
		assert.NotContains(t, text, "19491231")
		assert.NotContains(t, text, fmt.Sprintf("%x", "19491231"))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{standardFemale, standardMale, "110105491231002", "", "１１０１０５１９４９１２３１００２ｘ", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrLength) && !errors.Is(err, ErrCharacter) && !errors.Is(err, ErrFirstGeneration) {
				t.Fatalf("error of no known kind: %v", err)
			}
			if n != (Number{}) || Valid(s) {
				t.Fatal("a refused number is not zero, or valid")
			}
			return
		}
		again, err := Parse(n.Plain())
		if err != nil || again != n {
			t.Fatalf("Parse(Plain) = %v, %v", again, err)
		}
		if len(n.Plain()) != Length {
			t.Fatalf("%d characters", len(n.Plain()))
		}
		if date, ok := n.BirthDate(); ok && date.Format("20060102") != n.Plain()[6:14] {
			t.Fatal("birth date is not the one written")
		}
		if name, ok := n.Region(); ok != (name != "") {
			t.Fatalf("region %q, %v", name, ok)
		}
		if n.Sex().String() == "" {
			t.Fatal("no sex")
		}
		if strings.Contains(n.String(), n.Plain()[3:14]) {
			t.Fatal("String shows the number")
		}
	})
}

func BenchmarkParseAndCheckDigit(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !Valid(standardFemale) {
			b.Fatal("not valid")
		}
	}
}
