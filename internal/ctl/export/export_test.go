package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type shelf map[string]string

func (s shelf) List(_ context.Context, prefix, after string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s)) {
			if strings.HasPrefix(key, prefix) && key > after && !yield(ossclient.Object{Key: key}, nil) {
				return
			}
		}
	}
}

func (s shelf) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	if s[key] == "gone" {
		return nil, &ossclient.Error{Status: 404, Code: "NoSuchKey"}
	}
	return []byte(s[key]), nil
}

var when = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func (s shelf) add(t testing.TB, key string, card *result.Card) {
	d := result.Document{SchemaVersion: 1, Status: result.Failed, Image: result.Image{Bucket: "cards", Key: key, ETag: "12345678901234567890123456789012", Size: 7}, CompletedAt: when}
	if card != nil {
		d.Status, d.Card, d.Validation = result.Recognized, card, &result.Validation{Valid: true}
	} else {
		d.Error = &result.Error{Code: result.Timeout}
	}
	text, err := json.Marshal(d)
	require.NoError(t, err)
	s[key+".ocr.json"] = string(text)
	s[key] = "a picture"
}

// hostile is a bucket of cards that spreadsheets would like to misread.
func hostile(t testing.TB) shelf {
	s := shelf{"notes.txt": "", "broken.jpg.ocr.json": "[]", "deleted.jpg.ocr.json": "gone"}
	s.add(t, "a.jpg", &result.Card{Name: "韦小宝", Sex: "男", Ethnicity: "汉", BirthDate: "1949-12-31", Address: "北京市东城区\"景山\"前街4号,甲\n乙", IDNumber: "110105194912310021"})
	s.add(t, "=cmd|' /C calc'!A0.jpg", &result.Card{Name: "=HYPERLINK(\"http://x\")", Address: "+1", Ethnicity: "@SUM(1)", Sex: "-1", BirthDate: "＝1", IDNumber: "11010519491231002X"})
	s.add(t, "'b.jpg", &result.Card{Name: "\t=1", Address: "0x1p-2", IDNumber: "1E5"})
	s.add(t, "c.jpg", nil)
	return s
}

func run(t testing.TB, s shelf, o Options, w Writer) Report {
	o.Suffix, o.Parallel = ".ocr.json", 4
	r, err := Run(t.Context(), s, o, w, nil)
	require.NoError(t, err)
	return r
}

func toCSV(t testing.TB, s shelf, o Options) string {
	var b bytes.Buffer
	run(t, s, o, NewCSV(&b, false))
	return b.String()
}

func TestEveryRowIsQuotedAndGuarded(t *testing.T) {
	text := toCSV(t, hostile(t), Options{})
	require.True(t, strings.HasPrefix(text, bom+"key,status,name,"))
	assert.Equal(t, 1+4, strings.Count(text, "\r\n"))
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, bom))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 5)
	assert.Equal(t, []string{"''b.jpg", "'=cmd|'' /C calc'!A0.jpg", "a.jpg", "c.jpg"}, []string{rows[1][0], rows[2][0], rows[3][0], rows[4][0]})
	assert.Equal(t, "\t110105194912310021", rows[3][7])
	assert.Equal(t, "北京市东城区\"景山\"前街4号,甲\n乙", rows[3][6])
	assert.Equal(t, "\t1E5", rows[1][7])
	assert.Contains(t, text, `"a.jpg","recognized","韦小宝"`)
	assert.Contains(t, text, `,true,"",false,0,7,`, "what is no text is not quoted")
}

func TestAnExportKeepsTheOrderAndCountsWhatItLeavesOut(t *testing.T) {
	var b bytes.Buffer
	s := hostile(t)
	r := run(t, s, Options{}, NewJSONLines(&b))
	assert.Equal(t, Report{Written: 4, Unreadable: 1, Gone: 1}, r)
	var keys []string
	for line := range strings.Lines(b.String()) {
		var d result.Document
		require.NoError(t, json.Unmarshal([]byte(line), &d))
		keys = append(keys, d.Image.Key)
	}
	assert.True(t, slices.IsSorted(keys), keys)
	assert.Equal(t, Report{Written: 3, Filtered: 1, Unreadable: 1, Gone: 1}, run(t, s, Options{Status: result.Recognized}, NewJSONLines(&b)))
}

func TestMaskedExportsHoldNothingPersonal(t *testing.T) {
	s := shelf{}
	s.add(t, "110105194912310021.jpg", &result.Card{Name: "韦小宝", Address: "景山前街", BirthDate: "1949-12-31", IDNumber: "110105194912310021"})
	var lines, table bytes.Buffer
	run(t, s, Options{Mask: true}, NewJSONLines(&lines))
	run(t, s, Options{Mask: true}, NewTable(&table))
	for _, text := range []string{lines.String(), table.String(), toCSV(t, s, Options{Mask: true})} {
		for _, secret := range []string{"小宝", "景山", "19491231", "12-31"} {
			assert.NotContains(t, text, secret)
		}
	}
}

func TestATableCannotMoveTheCursor(t *testing.T) {
	s := shelf{}
	s.add(t, "a\x1b[2J\n.jpg", &result.Card{Name: "\x9b1m"})
	var table bytes.Buffer
	run(t, s, Options{}, NewTable(&table))
	assert.NotContains(t, table.String(), "\x1b")
	assert.Equal(t, 2, strings.Count(table.String(), "\n"))
}

// Where LibreOffice is installed: what it reads, with the detection of special numbers, is what was meant.
func TestLibreOfficeReadsEveryCellAsText(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Log("LibreOffice is not installed: nothing to compare with")
		return
	}
	s := hostile(t)
	for i := range 300 {
		s.add(t, fmt.Sprintf("x/%04d.jpg", i), &result.Card{Name: "欧阳", IDNumber: fmt.Sprintf("1101051949%08d", i)})
	}
	tricky := append(append([]string{"b;=1+1", "b\t=1+1", "b,=1+1"}, values...), formulas...)
	for i, text := range tricky {
		s.add(t, fmt.Sprintf("y/%04d.jpg", i), &result.Card{Name: text, IDNumber: "x"})
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in.csv"), []byte(toCSV(t, s, Options{})), 0o600))
	convert := exec.CommandContext(t.Context(), office, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--infilter=CSV:44,34,76,1,,0,false,true", "--convert-to",
		"csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false", "--outdir", filepath.Join(dir, "out"), filepath.Join(dir, "in.csv"))
	output, err := convert.CombinedOutput()
	require.NoError(t, err, string(output))
	text, err := os.ReadFile(filepath.Join(dir, "out", "in.csv"))
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte(bom)))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 305+len(tricky))
	assert.Equal(t, "key", rows[0][0])
	seen := 0
	for _, row := range rows[1:] {
		var d result.Document
		key := decodeCell(row[0])
		require.NoError(t, json.Unmarshal([]byte(s[key+".ocr.json"]), &d), key)
		if d.Card != nil {
			seen++
			assert.Equal(t, d.Card.IDNumber, strings.TrimSpace(row[7]))
			assert.Equal(t, strings.TrimSpace(d.Card.Name), strings.TrimSpace(decodeCell(row[2])), "%q", row[2])
			assert.Equal(t, d.Card.Address, decodeCell(row[6]))
		}
	}
	assert.Equal(t, 303+len(tricky), seen)
}

func TestAReviewedCardIsExportedInsteadOfWhatWasRead(t *testing.T) {
	for _, suffix := range []string{".ocr.json", ".zzz", ".json"} { // a review comes behind its document or before it
		s := shelf{}
		put := func(key string, d *result.Document) { s[key+suffix] = string(d.Encode()) }
		document := func(requestID string) *result.Document {
			d := &result.Document{Status: result.Recognized, Card: &result.Card{Name: "韦小宝", IDNumber: "110105194912310021"}, Validation: &result.Validation{}}
			d.Stamp(requestID, when)
			return d
		}
		d := document("1")
		put("a.jpg", d)
		put("a.jpg.ocr.k.jpg", document("2")) // between a.jpg's document and its review
		put("b.jpg", document("3"))
		put("c.jpg", document("4"))
		s["a.jpg.ocr.reviewed.json"] = string(result.NewReview(d, result.Card{Name: "韦春花", IDNumber: "11010519491231002X"}, "li", when).Encode())
		s["b.jpg.ocr.reviewed.json"] = string(result.NewReview(d, result.Card{Name: "另一人", IDNumber: "1"}, "li", when).Encode()) // of another document
		var out bytes.Buffer
		report, err := Run(t.Context(), s, Options{Suffix: suffix, Parallel: 4}, NewJSONLines(&out), nil)
		require.NoError(t, err)
		if suffix == ".json" { // reviews end in it too, and are no documents
			assert.EqualValues(t, 0, report.Unreadable)
		}
		assert.EqualValues(t, 4, report.Written, suffix)
		assert.EqualValues(t, 1, report.Reviewed, suffix)
		var names []string
		for line := range strings.Lines(out.String()) {
			var written result.Document
			require.NoError(t, json.Unmarshal([]byte(line), &written))
			names = append(names, written.RequestID+" "+written.Card.Name)
		}
		assert.ElementsMatch(t, []string{"1 韦春花", "2 韦小宝", "3 韦小宝", "4 韦小宝"}, names, suffix)
	}
}
