package ocrengine

import (
	"math"
	"slices"
	"strings"
)

// ethnicGroups are the names of the 56 ethnic groups as cards print them (GB/T 3304).
var ethnicGroups = strings.Fields(`
汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇
柯尔克孜 土 达斡尔 仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固
京 塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺`)

// misreadEthnicGroups are readings that no rule of likeness settles. The recogniser's dictionary has no 仫, which comes
// out as 么 or not at all; 仡, a rare character, mostly not at all, so 佬 alone is taken for the larger group 仡佬.
var misreadEthnicGroups = map[string]string{"佬": "仡佬", "亿佬": "仡佬", "么佬": "仫佬"}

// ethnicGroup returns the group that the characters name, or "" if they name none. The choices, one string for each
// character, best first, say what else each may be.
func ethnicGroup(text string, choices []string) string {
	read := []rune(strings.TrimSuffix(text, "族"))
	text = string(read)
	if name, ok := misreadEthnicGroups[text]; ok {
		return name
	}
	if slices.Contains(ethnicGroups, text) {
		return text
	}
	if len(choices) >= len(read) {
		if name := likeliestGroup(choices[:len(read)]); name != "" {
			return name
		}
	}
	// A stroke of the background may follow, read as one more character.
	longest := ""
	for _, name := range ethnicGroups {
		if strings.HasPrefix(text, name) && len(name) > len(longest) {
			longest = name
		}
	}
	if len([]rune(longest)) > 1 || len(read) == 0 {
		return longest
	}
	if name := nearestGroup(read); name != "" {
		return name
	}
	return longest
}

// likeliestGroup returns the group whose every character is among the choices at its place, nearest to their heads.
func likeliestGroup(choices []string) string {
	best, lowest := "", math.MaxInt
	for _, name := range ethnicGroups {
		name := []rune(name)
		if len(name) != len(choices) {
			continue
		}
		rank := 0
		for i, r := range name {
			at := slices.Index([]rune(choices[i]), r)
			if at < 0 {
				rank = math.MaxInt
				break
			}
			rank += at
		}
		if rank < lowest {
			best, lowest = string(name), rank
		}
	}
	return best
}

// nearestGroup returns the only group of several characters that differs from the text by one character wrong, missing
// or too many.
func nearestGroup(text []rune) string {
	only := ""
	for _, name := range ethnicGroups {
		group := []rune(name)
		if len(group) < 2 || editDistance(text, group) > 1 || len(text) == 1 && group[0] != text[0] {
			continue
		}
		if only != "" {
			return ""
		}
		only = name
	}
	return only
}

func editDistance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
