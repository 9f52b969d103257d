package result

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestValidation(t *testing.T) {
	yes, no := true, false
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		card Card
		want Validation
	}{
		"everything fits":          {Card{IDNumber: "11010519491231002X", BirthDate: "1949-12-31", Sex: "女"}, Validation{true, &yes, &yes, &yes, &yes}},
		"number alone":             {Card{IDNumber: "11010519491231002X"}, Validation{true, &yes, &yes, nil, nil}},
		"wrong check digit":        {Card{IDNumber: "110105194912310021"}, Validation{false, &no, &yes, nil, nil}},
		"unknown region":           {Card{IDNumber: "990105194912310025"}, Validation{false, nil, &no, nil, nil}},
		"other birth date":         {Card{IDNumber: "11010519491231002X", BirthDate: "1949-12-30"}, Validation{false, &yes, &yes, &no, nil}},
		"unreadable birth date":    {Card{IDNumber: "11010519491231002X", BirthDate: "198X-0X-XX"}, Validation{true, &yes, &yes, nil, nil}},
		"other sex":                {Card{IDNumber: "11010519491231002X", Sex: "男"}, Validation{false, &yes, &yes, nil, &no}},
		"not a date in the number": {Card{IDNumber: "110105194913310020"}, Validation{false, nil, &yes, &no, nil}},
		"born in the future":       {Card{IDNumber: "110105209012310024"}, Validation{false, nil, &yes, &no, nil}},
		"not a number":             {Card{IDNumber: "*********01211122"}, Validation{false, &no, nil, nil, nil}},
	} {
		got := validate(test.card, now)
		if test.want.CheckDigit == nil { // not what the case is about
			test.want.CheckDigit = got.CheckDigit
		}
		assert.Equal(t, test.want, *got, name)
	}
}

func TestDatesAreWrittenAsISO(t *testing.T) {
	for in, want := range map[string]string{"1980-01-31": "1980-01-31", "1980-1-3": "1980-01-03", "1980年1月31日": "1980-01-31", "1980 年 1 月 31 日": "1980-01-31",
		"19800131": "1980-01-31", "1980/1/31": "1980-01-31", "1980.01.31": "1980-01-31", "198X-0X-XX": "198X-0X-XX", "1980-02-30": "1980-02-30", "": ""} {
		assert.Equal(t, want, isoDate(in), in)
	}
}
