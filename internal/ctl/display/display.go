// Package display prepares text of unknown origin for a terminal: object keys, card fields and file names can hold anything. It
// never lets a character through that moves the cursor, changes the direction of text or cannot be seen.
package display

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Printable returns s on one line, with escapes such as \x1b and \u202e for all that is not a visible character or a blank:
// controls, line breaks, bidirectional marks, zero-width characters and bytes that are not UTF-8.
func Printable(s string) string { return escape(s, "") }

// Lines is Printable for text of several lines.
func Lines(s string) string { return escape(s, "\n") }

func escape(s, kept string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsGraphic(r) || strings.ContainsRune(kept, r):
			b.WriteString(s[i : i+size])
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// Writer is Printable for a stream of text, in which line ends and tabs stay. Characters may be cut by the end of a Write.
type Writer struct{ To io.Writer }

// Write prints p.
func (w Writer) Write(p []byte) (int, error) {
	_, err := io.WriteString(w.To, escape(string(p), "\r\n\t"))
	return len(p), err
}

// JSON returns the same JSON text with the same characters written as JSON's own escapes, but for line breaks between values.
func JSON(text []byte) []byte {
	seen := func(r rune) bool { return r == '\n' || unicode.IsGraphic(r) }
	clean := true
	for _, r := range string(text) {
		clean = clean && seen(r)
	}
	if clean {
		return text
	}
	escaped := make([]byte, 0, len(text)+16)
	for _, r := range string(text) {
		switch {
		case seen(r):
			escaped = utf8.AppendRune(escaped, r)
		case r <= 0xffff:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		}
	}
	return escaped
}

// Width is how many columns of a terminal s takes.
func Width(s string) int { return uniseg.StringWidth(s) }

// Pad fills s up with blanks to width columns.
func Pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-Width(s))) }

// Columns prints a table: the last cell of each row as it is, the others aligned to the right, each column as wide as its widest
// cell and two blanks.
func Columns(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			b.WriteString(strings.Repeat(" ", 2+widths[i]-Width(cell)) + cell)
		}
		b.WriteString("  " + row[len(row)-1] + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Fit returns Printable(s) in exactly width columns: filled up with blanks, or cut off with an ellipsis in the middle, as both ends
// of an object key tell something.
func Fit(s string, width int) string {
	s = Printable(s)
	type cluster struct{ start, columns int }
	var clusters []cluster
	total := 0
	for rest, state := s, -1; len(rest) > 0; {
		start, columns := len(s)-len(rest), 0
		_, rest, columns, state = uniseg.FirstGraphemeClusterInString(rest, state)
		clusters = append(clusters, cluster{start, columns})
		total += columns
	}
	if total <= width {
		return s + strings.Repeat(" ", width-total)
	}
	// The head gets half of what the ellipsis leaves, the tail the rest.
	head, tail, columns := 0, len(clusters), 1
	for head < len(clusters) && columns+clusters[head].columns <= (width+2)/2 {
		columns += clusters[head].columns
		head++
	}
	for tail > head && columns+clusters[tail-1].columns <= width {
		tail--
		columns += clusters[tail].columns
	}
	end := len(s)
	if tail < len(clusters) {
		end = clusters[tail].start
	}
	return s[:clusters[head].start] + "…" + s[end:] + strings.Repeat(" ", width-columns)
}
