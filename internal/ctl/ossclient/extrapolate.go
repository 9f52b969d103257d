package ossclient

// extrapolate guesses a key that is so many pages after a page, if the keys go on as they do in it. From a little before the first
// difference between its first and last key on, keys are read as numbers, whose digits are the characters that are found at that
// difference. It returns no text if it cannot tell.
func extrapolate(page []Object, pages uint64) string {
	const (
		before = 4 // places into which a number may be carried
		places = 8 // numbers of 95 printable characters, times some pages, fit into 64 bits
	)
	if len(page) == 0 {
		return ""
	}
	first, last := page[0].Key, page[len(page)-1].Key
	differ := 0
	for differ < min(len(first), len(last)) && first[differ] == last[differ] {
		differ++
	}
	var found [256]bool
	for _, o := range page {
		for _, c := range []byte(o.Key[min(differ, len(o.Key)):min(differ+before, len(o.Key))]) {
			found[c] = c >= ' ' && c <= '~' // a byte of a longer character would be no text
		}
	}
	var digits []byte
	var values [256]uint64 // that of another character is that of the digit before it
	for c := range found {
		if found[c] {
			digits = append(digits, byte(c))
		}
		values[c] = uint64(max(len(digits)-1, 0))
	}
	if differ == len(last) || !found[last[differ]] {
		return ""
	}
	begin := differ
	for begin > 0 && begin > differ-before && found[last[begin-1]] {
		begin--
	}
	base, end := uint64(len(digits)), uint64(1)
	var from, to uint64
	for i := begin; i < begin+places; i++ {
		end, from, to = end*base, from*base, to*base
		if i < len(first) {
			from += values[first[i]]
		}
		if i < len(last) {
			to += values[last[i]]
		}
	}
	number := to + pages*(to-from)
	if to <= from || number >= end || len(last) > 1000 { // keys have 1023 bytes at most
		return ""
	}
	text := make([]byte, places)
	for i := range text {
		text[places-1-i] = digits[number%base]
		number /= base
	}
	return last[:begin] + string(text)
}
