package idnumber

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./gen

// regionData is the raw DEFLATE of the region table: the number of codes, then each code as its distance to the one before (all
// of them unsigned varints, codes ascending), then the names in the same order, one line each. 25 KB instead of the 127 KB
// of plain text; package compress/flate is in every program that speaks HTTP.
//
//go:embed regions.deflate
var regionData []byte

// regionTable holds codes and names side by side, codes ascending.
type regionTable struct {
	codes []int32
	names []string
}

// regions unpacks the table the first time a region is asked for, which takes about a millisecond: a start without an image
// does not pay for it.
var regions = sync.OnceValue(func() regionTable {
	table, err := unpackRegions(regionData)
	if err != nil {
		// The data is compiled in and a test unpacks it, so this is a build gone wrong: no region is known then.
		return regionTable{}
	}
	return table
})

func unpackRegions(packed []byte) (regionTable, error) {
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return regionTable{}, fmt.Errorf("idnumber: region table: %w", err)
	}
	next := func() (int, bool) {
		v, size := binary.Uvarint(plain)
		if size <= 0 || v > 999999 {
			return 0, false
		}
		plain = plain[size:]
		return int(v), true
	}
	count, ok := next()
	if !ok {
		return regionTable{}, fmt.Errorf("idnumber: region table has no count")
	}
	codes := make([]int32, count)
	code := 0
	for i := range codes {
		distance, ok := next()
		if !ok {
			return regionTable{}, fmt.Errorf("idnumber: region table ends at code %d of %d", i, count)
		}
		code += distance
		codes[i] = int32(code)
	}
	names := strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n")
	if len(names) != count {
		return regionTable{}, fmt.Errorf("idnumber: region table has %d codes and %d names", count, len(names))
	}
	return regionTable{codes, names}, nil
}

func (t regionTable) name(code int) (string, bool) {
	i, ok := slices.BinarySearch(t.codes, int32(code))
	if !ok {
		return "", false
	}
	return t.names[i], true
}

// regionName gives the full name of a six-digit code. The names of the levels above are the ones their codes had last, which for a
// withdrawn code need not be the ones of its time.
func regionName(code int) (string, bool) {
	table := regions()
	if _, ok := table.name(code); !ok {
		return "", false
	}
	var b strings.Builder
	above := 0
	for _, unit := range []int{10000, 100, 1} { // province, prefecture, county
		level := code / unit * unit
		if level == above {
			continue
		}
		above = level
		if name, ok := table.name(level); ok && !isGrouping(name) {
			b.WriteString(name)
		}
	}
	return b.String(), true
}

// isGrouping reports whether a name only groups the codes below it: 市辖区 (districts of a city), 县 and 市 (of a municipality), 省直辖县级行政区划
// and the like are in the code list, and in no address.
func isGrouping(name string) bool {
	return name == "市辖区" || name == "县" || name == "市" || strings.Contains(name, "直辖")
}
