package export

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What spreadsheets would take for a value, and for a formula.
var (
	values = []string{
		"110105194912310021", "１１０１０１１９９００３０７１０９１", "1e5", "1E400", "0.1", "1,000", "１２", "½", "٣٤",
		"1-2", "3/4", "12:30", "12:30:00 PM", "10%", "１０％", "1949-12-31", "1949/12/31", "1949.12.31", "1949年12月31日", "12月31日", "上午9时30分",
		"Jan 1", "1-Jan-2026", "MAR1", "SEPT 2", "2026-11-23T08:00:00Z", "¥12", "$1", "(12)", " 12 ", "\u300012", "TRUE", "false", "12E34", "5 月",
	}
	formulas = []string{"=1+1", "+1", "-1", "@SUM(1)", "＝1", "－1", "＋1", "＠a", "﹦1", "\u22121", " =1", "\u200b=1", "\u3000=1", "\t=1", "\r=1", "\n=1", "'", "'1"}
)

func TestWhatASpreadsheetWouldReadOtherwiseIsGuarded(t *testing.T) {
	for _, value := range values {
		assert.Equal(t, "\t"+value, Cell(value))
	}
	for _, formula := range formulas {
		assert.True(t, strings.HasPrefix(Cell(formula), "'"), "%q", formula)
	}
	for text, want := range map[string]string{
		"b;=1+1": "b;'=1+1", "b\t+1": "b\t'+1", "b|@x": "b|'@x", "b\r\n=1": "b\r'\n'=1", "b;＝1": "b;'＝1", "b; -1": "b;' -1", "b;'b": "b;''b", "b;b": "b;b",
	} {
		assert.Equal(t, want, Cell(text), "where a semicolon or tab separates cells")
	}
	for _, text := range []string{"", "韦小宝", "11010519491231002X", "北京市东城区景山前街4号", "2026/0001.jpg", "7D73E1052AF595535DE90994F4C3E6D5", "汉", "recognized", "b-1", "May", "110***********002X", "0x1p-2"} {
		assert.Equal(t, text, Cell(text))
	}
}

func FuzzGuardsAreUndone(f *testing.F) {
	for _, s := range []string{"", "a", "=1", "'", "''", "\t1", "\t'1", "12", "1e400", "－1", "a\tb", ";;'=\r\n'", "\xff;\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		assert.Equal(t, s, decodeCell(Cell(s)))
		for _, part := range strings.FieldsFunc(Cell(s), func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if !strings.HasPrefix(part, "'") {
				assert.False(t, startsFormula(part), "%q", part)
			}
		}
	})
}
