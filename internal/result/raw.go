package result

import "encoding/json"

// maxRawBytes bounds the raw answer in a document, as it is written: with its lines indented. A card's has 1 KB. Ten
// thousand levels of brackets, which are 20 KB on the wire, would become 200 MB.
const maxRawBytes = 128 << 10

// dropOversizedRaw returns raw, or nil if it is too large to be kept: the card beside it is what was paid for.
func dropOversizedRaw(raw json.RawMessage) json.RawMessage {
	if indentedLength(raw) > maxRawBytes {
		return nil
	}
	return raw
}

// indentedLength is how long a valid JSON text is at most after json.Indent with two blanks a level.
func indentedLength(raw []byte) int {
	length, depth, quoted, escaped := len(raw), 1, false, false // in a document it begins one level down
	for _, c := range raw {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = quoted
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			length += 1 + 2*depth
		case c == '}' || c == ']':
			depth--
			length += 1 + 2*depth
		case c == ',':
			length += 1 + 2*depth
		case c == ':':
			length++
		}
	}
	return length
}
