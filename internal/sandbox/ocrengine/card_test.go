package ocrengine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The recorded lines are what the reader found in pictures of made-up cards (birth years 1901 to 1909).
func TestParseCardReadsRecordedLines(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/lines/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var recorded struct {
				Want  Card
				Lines []line
			}
			require.NoError(t, json.Unmarshal(data, &recorded))
			assert.Equal(t, recorded.Want, parseCard(recorded.Lines))
		})
	}
}

// at places text of the height of a card's lines with its left edge and middle at x and y.
func at(x, y float64, text string) line {
	width, half := 32*float64(len([]rune(text))), 16.0
	if digitsOf(text) == text {
		width /= 2
	}
	return line{Text: text, Score: 1, Box: [4][2]float64{{x, y - half}, {x + width, y - half}, {x + width, y + half}, {x, y + half}}}
}

const (
	number    = "11010119040307001X"
	misprint  = "110101190403070011" // its check digit is wrong
	longLines = "北京市东城区样本胡同12"
)

func card(change func(lines map[string]*line)) []line {
	name, nameValue := at(78, 100, "姓名"), at(180, 100, "张三")
	sex, group := at(78, 175, "性别男"), at(291, 175, "民族汉")
	birth, date := at(78, 249, "出生"), at(180, 249, "1904年3月7日")
	lives, first, second := at(78, 325, "住址"), at(180, 325, longLines), at(180, 370, "号院3号楼")
	label, id := at(78, 558, "公民身份号码"), at(336, 556, number)
	id.Box[1][0], id.Box[2][0] = 938, 938
	portrait := at(682, 464, "样张SPECIMEN")
	lines := map[string]*line{
		"name label": &name, "name": &nameValue, "sex": &sex, "group": &group, "birth label": &birth, "birth": &date,
		"address label": &lives, "address": &first, "address 2": &second, "number label": &label, "number": &id, "portrait": &portrait,
	}
	if change != nil {
		change(lines)
	}
	all := make([]line, 0, len(lines))
	for _, l := range lines {
		if l != nil {
			all = append(all, *l)
		}
	}
	return all
}

func TestParseCardWithstandsWhatReadersDo(t *testing.T) {
	t.Parallel()
	whole := Card{Name: "张三", Sex: "男", Ethnicity: "汉", BirthDate: "1904-03-07", Address: longLines + "号院3号楼", IDNumber: number}
	with := func(change func(*Card)) Card {
		c := whole
		change(&c)
		return c
	}
	tests := map[string]struct {
		change func(map[string]*line)
		want   Card
	}{
		"every line read": {nil, whole},
		"words in the portrait's column are no part of the address": {func(l map[string]*line) {
			stray := at(700, 370, "某人")
			l["stray"] = &stray
		}, whole},
		"a label may lack its first character": {func(l map[string]*line) {
			l["name label"].Text, l["sex"].Text, l["address label"].Text = "名", "别男", "址"
		}, whole},
		"an unread name label is told by the row below":    {func(l map[string]*line) { l["name label"] = nil }, whole},
		"an unread address label is told by the row above": {func(l map[string]*line) { l["address label"] = nil }, whole},
		"an unread sex comes from the number":              {func(l map[string]*line) { l["sex"].Text = "性别" }, whole},
		"an unread date comes from the number":             {func(l map[string]*line) { l["birth"] = nil }, whole},
		"an impossible date comes from a number with a wrong check digit if the year agrees": {func(l map[string]*line) {
			l["number"].Text, l["birth"].Text = misprint, "1904年30月7日"
		}, with(func(c *Card) { c.IDNumber = misprint })},
		"an impossible date comes from the number": {func(l map[string]*line) { l["birth"].Text = "1904年13月7日" }, whole},
		"a printed date that differs from the number is kept": {
			func(l map[string]*line) { l["birth"].Text = "1904年3月8日" }, with(func(c *Card) { c.BirthDate = "1904-03-08" }),
		},
		"a printed sex that differs from the number is kept": {
			func(l map[string]*line) { l["sex"].Text = "性别女" }, with(func(c *Card) { c.Sex = "女" }),
		},
		"a number with a wrong check digit is given as printed": {
			func(l map[string]*line) { l["number"].Text = misprint }, with(func(c *Card) { c.IDNumber = misprint }),
		},
		"a number with a wrong check digit says nothing of sex and birth": {func(l map[string]*line) {
			l["number"].Text, l["sex"].Text, l["birth"].Text = misprint, "性别", "年月日"
		}, with(func(c *Card) { c.IDNumber, c.Sex, c.BirthDate = misprint, "", "" })},
		"a number of 17 digits is none": {
			func(l map[string]*line) { l["number"].Text = number[:17] }, with(func(c *Card) { c.IDNumber = "" }),
		},
		"a mark before the number is told by the check digit": {func(l map[string]*line) { l["number"].Text = "1" + number }, whole},
		"a small x is a capital one":                          {func(l map[string]*line) { l["number"].Text = strings.ToLower(number) }, whole},
		"label and number in one line": {func(l map[string]*line) {
			l["number label"] = nil
			l["number"].Text, l["number"].Box[0][0], l["number"].Box[3][0] = "公民身份号码 "+number, 78, 78
		}, whole},
		"a number torn in two": {func(l map[string]*line) {
			half := at(640, 556, number[9:])
			half.Box[1][0], half.Box[2][0] = 938, 938
			l["half"] = &half
			l["number"].Text, l["number"].Box[1][0], l["number"].Box[2][0] = number[:9], 630, 630
		}, whole},
		"any dot in a name is the middle dot": {
			func(l map[string]*line) { l["name"].Text = "艾力．吐尔逊" }, with(func(c *Card) { c.Name = "艾力·吐尔逊" }),
		},
		"strokes of the background are no part of name and address": {func(l map[string]*line) {
			l["name"].Text, l["address"].Text = "一张三-", "一"+longLines
		}, whole},
		"half-width parentheses become full-width": {
			func(l map[string]*line) { l["address 2"].Text = "号(样本)" }, with(func(c *Card) { c.Address = longLines + "号（样本）" }),
		},
		"an autonomous region in the address is no ethnic group": {
			func(l map[string]*line) { l["address"].Text = "宁夏回族自治区" }, with(func(c *Card) { c.Address = "宁夏回族自治区号院3号楼" }),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, parseCard(card(test.change)))
		})
	}
}

func TestParseCardFindsNoneWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]line{
		"no text":                  nil,
		"other text":               {at(10, 20, "发票"), at(10, 80, "合计42元")},
		"a form with two labels":   {at(10, 20, "姓名张三"), at(10, 80, "住址北京市")},
		"a telephone number alone": {at(10, 20, "01012345678")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, parseCard(lines))
		})
	}
}

func TestASecondReadingCompletesTheFirst(t *testing.T) {
	t.Parallel()
	whole := Card{Name: "张三", Sex: "男", Ethnicity: "汉", BirthDate: "1904-03-07", Address: "北京市", IDNumber: number}
	other := Card{Name: "张王", Sex: "女", Ethnicity: "满", BirthDate: "1904-08-07", Address: "北京", IDNumber: misprint}
	require.True(t, whole.certain())
	for name, test := range map[string]struct {
		change func(first *Card)
		second Card
		want   Card
	}{
		"what is missing is filled in":              {func(c *Card) { *c = Card{} }, whole, whole},
		"what was read stays":                       {func(*Card) {}, other, whole},
		"nothing read twice is nothing":             {func(c *Card) { *c = Card{} }, Card{}, Card{}},
		"a second empty reading changes nothing":    {func(c *Card) { c.BirthDate = "1904-03-01" }, Card{}, Card{"张三", "男", "汉", "1904-03-01", "北京市", number}},
		"the birth date that the number bears out":  {func(c *Card) { c.BirthDate = "1904-03-01" }, whole, whole},
		"the sex that the number bears out":         {func(c *Card) { c.Sex = "女" }, whole, whole},
		"the number whose check digit is right":     {func(c *Card) { c.IDNumber = misprint }, whole, whole},
		"a name of one character is read once more": {func(c *Card) { c.Name = "张" }, whole, whole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := whole
			test.change(&first)
			if first != whole {
				assert.False(t, first.certain(), "this calls for a second look")
			}
			assert.Equal(t, test.want, first.or(test.second))
		})
	}
}

func TestTheNearestOfThe56GroupsIsRead(t *testing.T) {
	t.Parallel()
	assert.Len(t, ethnicGroups, 56)
	for _, name := range ethnicGroups {
		assert.Equal(t, name, ethnicGroup(name, nil))
		assert.Equal(t, name, ethnicGroup(name+"族", nil))
	}
	for name, test := range map[string]struct {
		text    string
		choices []string
		want    string
	}{
		"one character wrong of several":             {"维香尔", nil, "维吾尔"},
		"one character missing":                      {"乌别克", nil, "乌孜别克"},
		"the first character of one group":           {"拉", nil, "拉祜"},
		"a stroke read as one more character":        {"汉一", nil, "汉"},
		"a runner-up that is a group":                {"美", []string{"美姜羌"}, "羌"},
		"the better of two runners-up":               {"自", []string{"自白回"}, "白"},
		"the dictionary lacks the first character":   {"么佬", nil, "仫佬"},
		"nothing like a group":                       {"龘", []string{"龘"}, ""},
		"nothing":                                    {"", nil, ""},
		"runners-up do not override what was read":   {"土家", []string{"土水", "家"}, "土家"},
		"one character of a group that begins other": {"土", nil, "土"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, ethnicGroup(test.text, test.choices))
		})
	}
}

func FuzzParseCard(f *testing.F) {
	f.Add("姓名张三", "性别男民族汉", number, 3.0)
	f.Add("民族", "住址", "公民身份号码", -1e9)
	f.Fuzz(func(t *testing.T, a, b, c string, y float64) {
		got := parseCard([]line{at(10, 10, a), at(10, y, b), at(200, y, c), {Text: c, Choices: []string{a}}})
		assert.Contains(t, []string{"", "男", "女"}, got.Sex)
		assert.Contains(t, append([]string{""}, ethnicGroups...), got.Ethnicity)
		assert.Contains(t, []int{0, 18}, len(got.IDNumber))
	})
}
