package ocrengine

import (
	"cmp"
	"math"
	"slices"
)

// line is one piece of text that the recogniser found.
type line struct {
	Text string `json:"text"`
	// Choices holds for each character of Text the likeliest ones, best first.
	Choices []string      `json:"choices"`
	Score   float64       `json:"score"` // mean likelihood of its characters, 0 to 1
	Box     [4][2]float64 `json:"box"`   // corners in pixels, clockwise from the text's upper left
}

// span is a line of text after straightening: where it stands along the rows and across them.
type span struct {
	text                string
	choices             []string
	left, right, middle float64
	height              float64
}

func (s span) width() float64 { return s.right - s.left }

// straighten turns the lines by their common angle, so that rows of text lie level. The angle is the median over long
// lines: a short one (a single character is nearly square) says little about it.
func straighten(lines []line) []span {
	type slope struct{ angle, weight float64 }
	var slopes []slope
	total := 0.0
	for _, l := range lines {
		width, height := distance(l.Box[0], l.Box[1]), distance(l.Box[0], l.Box[3])
		if width > 3*height {
			slopes = append(slopes, slope{math.Atan2(l.Box[1][1]-l.Box[0][1], l.Box[1][0]-l.Box[0][0]), width})
			total += width
		}
	}
	slices.SortFunc(slopes, func(a, b slope) int { return cmp.Compare(a.angle, b.angle) })
	angle, passed := 0.0, 0.0
	for _, s := range slopes {
		if passed += s.weight; passed >= total/2 {
			angle = s.angle
			break
		}
	}
	sin, cos := math.Sincos(-angle)
	spans := make([]span, 0, len(lines))
	for _, l := range lines {
		var x, y [4]float64
		for i, p := range l.Box {
			x[i], y[i] = p[0]*cos-p[1]*sin, p[0]*sin+p[1]*cos
		}
		spans = append(spans, span{
			text: l.Text, choices: l.Choices,
			left: (x[0] + x[3]) / 2, right: (x[1] + x[2]) / 2,
			middle: (y[0] + y[1] + y[2] + y[3]) / 4,
			height: (distance(l.Box[0], l.Box[3]) + distance(l.Box[1], l.Box[2])) / 2,
		})
	}
	return spans
}

func distance(a, b [2]float64) float64 { return math.Hypot(a[0]-b[0], a[1]-b[1]) }

// rowsOf groups spans that stand side by side, rows from top to bottom, each from left to right. A span joins the row
// whose last member to its left is nearest in height, so that a row may climb a little (perspective).
func rowsOf(spans []span) [][]span {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.left, b.left) })
	var rows [][]span
	for _, s := range spans {
		best, gap := -1, math.Inf(1)
		for i, row := range rows {
			last := row[len(row)-1]
			d := math.Abs(last.middle - s.middle)
			// Two lines of an address overlap in width; the members of a row hardly do.
			overlap := last.right - s.left
			if d < 0.55*min(last.height, s.height) && overlap < 0.5*min(last.width(), s.width()) && d < gap {
				best, gap = i, d
			}
		}
		if best < 0 {
			rows = append(rows, []span{s})
		} else {
			rows[best] = append(rows[best], s)
		}
	}
	slices.SortFunc(rows, func(a, b []span) int { return cmp.Compare(a[0].middle, b[0].middle) })
	return rows
}
