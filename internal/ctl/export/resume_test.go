package export

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moved puts the document of one key beside another.
func (s shelf) moved(from, to string) {
	s[to+".ocr.json"] = s[from+".ocr.json"]
}

// strange makes keys and card fields of what is special to CSV, JSON, spreadsheets and terminals.
func strange(r *rand.Rand) string {
	pieces := []string{"a", "\r", "\n", "\r\n", `"`, ",", ";", "'", "\t", "=", "1", "１", "\\", "{", "}", "\u2028", "\u202e", "\x00", "\x1b", "base64:", "身份", " ", "|", "\U0001f4a9"}
	var b strings.Builder
	for range 1 + r.IntN(8) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// completed is the file after an export has completed it.
func completed(t *testing.T, path string, s shelf, format Format, mask bool) string {
	file, err := Resume(path, format, mask)
	require.NoError(t, err)
	run(t, s, Options{After: file.After, Mask: mask}, New(format, file, file.Headed))
	require.NoError(t, file.Close(true))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// Whatever is in keys and documents, and wherever the file was cut, the completed file is the whole one, byte for byte.
func TestAnExportThatBrokeOffAnywhereIsCompleted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := hostile(t)
	for i := range 3 {
		key := strange(r) + fmt.Sprint(i) + ".jpg"
		s.add(t, key, &result.Card{Name: strange(r), Address: strange(r), IDNumber: strange(r)})
	}
	s.add(t, "\xff.jpg", &result.Card{Name: "a key that is not UTF-8"})
	s.add(t, "m/1.jpg", &result.Card{Name: "one\r"})
	for _, to := range []string{"m/0.jpg", "m/2.jpg", "zz/9.jpg", "A.jpg"} {
		s.moved("m/1.jpg", to)
	}
	for _, test := range []struct {
		format Format
		mask   bool
	}{{CSV, false}, {JSONLines, false}, {Table, false}, {CSV, true}, {JSONLines, true}, {Table, true}} {
		t.Run(fmt.Sprint(test.format, " masked ", test.mask), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "export")
			complete := func() string { return completed(t, path, s, test.format, test.mask) }
			whole := complete()
			for cut := range len(whole) + 1 {
				// Around line ends every byte, and in the middle of long lines some: there it makes no difference. In CSV every
				// byte can, but masking does not change its grammar, so that only quotes count, too.
				ends := "\r\n"
				if test.format == CSV {
					ends += `"`
				}
				if near := whole[max(cut-3, 0):min(cut+3, len(whole))]; cut%13 > 0 && !strings.ContainsAny(near, ends) && (test.format != CSV || test.mask) {
					continue
				}
				require.NoError(t, os.WriteFile(path, []byte(whole[:cut]), 0o600))
				require.Equal(t, whole, complete(), "cut at %d", cut)
			}
		})
	}
}

func TestAReplayFollowsTheBucket(t *testing.T) {
	s := shelf{}
	for i := range 5 {
		s.add(t, fmt.Sprintf("%d.jpg", i), &result.Card{Name: "甲"})
	}
	path := filepath.Join(t.TempDir(), "table")
	complete := func() string { return completed(t, path, s, Table, true) }
	assert.Equal(t, 6, strings.Count(complete(), "\n"))
	delete(s, "4.jpg.ocr.json")
	assert.Equal(t, 5, strings.Count(complete(), "\n"), "what is gone from the end is cut off")
	s.add(t, "1.jpg", nil)
	assert.Contains(t, complete(), "Timeout")
	assert.Equal(t, 5, strings.Count(complete(), "\n"))
}

func TestATableOfAnotherLanguageIsWrittenAnewInTheOneInUse(t *testing.T) {
	t.Cleanup(func() { message.Use(message.English) })
	s := shelf{}
	for i := range 5 {
		s.add(t, fmt.Sprintf("%d.jpg", i), &result.Card{Name: "甲"})
	}
	path := filepath.Join(t.TempDir(), "table")
	complete := func(l message.Language) string {
		message.Use(l)
		return completed(t, path, s, Table, true)
	}
	english := complete(message.English)
	chinese := complete(message.Chinese)
	assert.NotEqual(t, english, chinese)
	assert.Equal(t, english, complete(message.English))
	require.NoError(t, os.WriteFile(path, []byte(english[:len(english)/2]), 0o600))
	assert.Equal(t, chinese, complete(message.Chinese))
}

func TestNothingIsAddedToAForeignFile(t *testing.T) {
	for _, format := range []Format{CSV, JSONLines, Table} {
		for _, text := range []string{"hello\n", "a,b\r\n1,2\r\n", bom + "a,b\r\n", "{}\n", "hello", "\xff\xff\xff\xff", csvHeader + "a,b\r\n", csvHeader + "\"a\"b\r\n", beginning + "\n", beginning + "1}\n"} {
			if format == CSV && strings.HasPrefix(csvHeader, text) {
				continue
			}
			path := filepath.Join(t.TempDir(), "mine")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := Resume(path, format, false)
			assert.Error(t, err, "%s %q", format, text)
			left, readErr := os.ReadFile(path)
			require.NoError(t, readErr)
			assert.Equal(t, text, string(left))
		}
	}
}
