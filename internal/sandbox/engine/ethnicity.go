package engine

import "strings"

// ethnicGroups are the names of the 56 ethnic groups as cards print them (GB/T 3304).
var ethnicGroups = strings.Fields(`
汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇
柯尔克孜 土 达斡尔 仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固
京 塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺`)

// misreadEthnicGroups are readings that no rule of likeness settles. The recogniser's dictionary has no 仫, so that
// 仫佬 comes out as its second character alone (仡佬 comes out whole); the others are look-alikes of one-character names.
var misreadEthnicGroups = map[string]string{
	"佬": "仫佬", "葬": "藏", "汊": "汉", "汶": "汉", "仅": "汉", "汗": "汉", "囬": "回", "四": "回",
	"茁": "苗", "状": "壮", "自": "白", "俸": "傣", "犁": "黎", "瓦": "佤", "差": "羌", "努": "怒", "亰": "京", "冰": "水",
	"畬": "畲", "同": "侗", "桐": "侗", "摇": "瑶", "蒲": "满",
}

// ethnicGroup returns the group that text names, or "" if it names none. A name of two characters or more is also
// recognised with one character wrong or missing, if no other name is as near.
func ethnicGroup(text string) string {
	text = strings.TrimSuffix(onlyHan(text), "族")
	if name, ok := misreadEthnicGroups[text]; ok {
		return name
	}
	best := ""
	for _, name := range ethnicGroups {
		if text == name {
			return name
		}
		if strings.HasPrefix(text, name) && len(name) > len(best) {
			best = name
		}
	}
	if len([]rune(best)) > 1 || text == "" {
		return best
	}
	nearest, count, name := 2, 0, ""
	for _, group := range ethnicGroups {
		if len([]rune(group)) < 2 {
			continue
		}
		switch d := editDistance([]rune(text), []rune(group)); {
		case d < nearest:
			nearest, count, name = d, 1, group
		case d == nearest:
			count++
		}
	}
	if name != "" && count == 1 && len([]rune(text)) > 1 {
		return name
	}
	return best
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
