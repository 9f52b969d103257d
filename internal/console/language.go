package console

import (
	"strconv"
	"strings"
)

// language chooses "zh-CN" or "en" by an Accept-Language header (RFC 9110, section 12.5.4); English if neither is wanted.
func language(header string) string {
	chosen, best := "en", 0.0
	for entry := range strings.SplitSeq(header, ",") {
		tag, parameters, _ := strings.Cut(strings.TrimSpace(entry), ";")
		quality := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			var err error
			if quality, err = strconv.ParseFloat(value, 64); err != nil {
				continue
			}
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if quality > best && (primary == "zh" || primary == "en") {
			best = quality
			if chosen = "en"; primary == "zh" {
				chosen = "zh-CN"
			}
		}
	}
	return chosen
}
