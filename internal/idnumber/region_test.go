package idnumber

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRegionKnowsCodesInForceAndWithdrawn(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code int
		want string
	}{
		"district of a municipality":              {110105, "北京市朝阳区"},
		"district withdrawn in 2010":              {110103, "北京市崇文区"},
		"county of a municipality, withdrawn":     {500222, "重庆市綦江县"},
		"county of Sichuan before 1997":           {510282, "四川省重庆市江津市"},
		"district of a city":                      {420102, "湖北省武汉市江岸区"},
		"city without districts":                  {441900, "广东省东莞市"},
		"county-level city under a province":      {429004, "湖北省仙桃市"},
		"county-level city of Xinjiang":           {659001, "新疆维吾尔自治区石河子市"},
		"renamed district has the name in force":  {130502, "河北省邢台市襄都区"},
		"districts of a city, as a group":         {130101, "河北省石家庄市"},
		"district made in 2021":                   {330113, "浙江省杭州市临平区"},
		"another":                                 {330114, "浙江省杭州市钱塘区"},
		"merged in 2021":                          {350404, "福建省三明市三元区"},
		"county made a district in 2021":          {610305, "陕西省宝鸡市凤翔区"},
		"city made in 2023":                       {659012, "新疆维吾尔自治区白杨市"},
		"city of one year":                        {441282, "广东省肇庆市罗定市"},
		"suburb withdrawn in 2002":                {640111, "宁夏回族自治区银川市郊区"},
		"islands":                                 {460321, "海南省三沙市西沙群岛"},
		"province":                                {110000, "北京市"},
		"residence permit of Hong Kong residents": {810000, "香港特别行政区"},
		"residence permit of Macao residents":     {820000, "澳门特别行政区"},
		"residence permit of Taiwan residents":    {830000, "台湾省"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := regionName(tt.code)
			assert.True(t, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestRegionRefusesCodesThatNeverWere(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 100000, 109999, 110199, 119999, 160000, 990101, 999999} {
		name, ok := regionName(code)
		assert.False(t, ok, code)
		assert.Empty(t, name, code)
	}
}

func TestEveryCodeHasANameAndItsProvince(t *testing.T) {
	t.Parallel()
	table, err := unpackRegions(regionData)
	require.NoError(t, err)
	assert.True(t, slices.IsSorted(table.codes))
	assert.Len(t, slices.Compact(slices.Clone(table.codes)), len(table.codes))
	for i, code := range table.codes {
		assert.NotEmpty(t, table.names[i], code)
		name, ok := regionName(int(code))
		assert.True(t, ok, code)
		assert.NotEmpty(t, name, code)
		_, ok = table.name(int(code) / 10000 * 10000)
		assert.True(t, ok, code)
	}
}

// Codes of counties that are in force or were, by the first two digits: the ministry's lists from 1981 to 2024, the
// standard's first edition and groups of districts. A province that shrinks has lost codes that cards still bear.
func TestEveryProvinceHasAllItsCounties(t *testing.T) {
	t.Parallel()
	counted := map[int]int{}
	table, err := unpackRegions(regionData)
	require.NoError(t, err)
	for _, code := range table.codes {
		if code%100 != 0 {
			counted[int(code)/10000]++
		}
	}
	assert.Equal(t, map[int]int{
		11: 37, 12: 29, 13: 423, 14: 265, 15: 192, 21: 185, 22: 147, 23: 289,
		31: 41, 32: 298, 33: 241, 34: 241, 35: 213, 36: 236, 37: 361, 41: 366,
		42: 243, 43: 270, 44: 396, 45: 239, 46: 66, 50: 53, 51: 502, 52: 152,
		53: 232, 54: 169, 61: 224, 62: 173, 63: 64, 64: 56, 65: 173,
	}, counted)
}

func TestRegionTableStaysSmall(t *testing.T) {
	t.Parallel()
	assert.LessOrEqual(t, len(regionData), 40<<10, "bytes in every function binary")
}

func TestUnpackRegionsRefusesDamagedData(t *testing.T) {
	t.Parallel()
	for name, packed := range map[string][]byte{
		"nothing":   {},
		"cut":       regionData[:len(regionData)/2],
		"not flate": []byte("110000 北京市"),
		// Stored blocks: 01, length, its complement, bytes.
		"no count":       {1, 0, 0, 0xff, 0xff},
		"missing code":   {1, 1, 0, 0xfe, 0xff, 2},
		"too few names":  {1, 3, 0, 0xfc, 0xff, 2, 1, 1},
		"code too large": {1, 5, 0, 0xfa, 0xff, 1, 0xff, 0xff, 0xff, 0x7f},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unpackRegions(packed)
			assert.Error(t, err)
		})
	}
}

func BenchmarkUnpackRegions(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unpackRegions(regionData); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRegion(b *testing.B) {
	n := mustParse(b, standardFemale)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := n.Region(); !ok {
			b.Fatal("unknown")
		}
	}
}
