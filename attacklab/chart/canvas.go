// Package chart draws the lab's figures as SVG: small multiples, strips, bars
// and a scatter, with colours and dash patterns that people who see colours
// differently can tell apart, labels where the lines end, and a title and a
// description for those who hear a page. Equal input gives equal bytes.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"strconv"
	"strings"
)

// looks give every level and every way of rekeying its colour, of those of
// Okabe and Ito, and its dash pattern.
var looks = map[string]int{
	"0": 0, "1": 1, "2": 2, "3": 3, "3A": 4, "3-sparse": 5,
	"every message": 0, "paced": 4, "sparse": 5,
}

// Style is the CSS of every chart, for light and for dark surroundings. A chart
// carries it; a page with several has it once, and charts without it.
const Style = `
svg{font:13px/1.3 Inter,system-ui,sans-serif}
.bg{fill:#fff}.fg{fill:#14171a}.dim{fill:#4f5965}.axis{stroke:#8a93a0;fill:none}.grid{stroke:#dfe3e8;fill:none}.no{fill:#dfe3e8}.mark{stroke:#14171a;fill:none}
.l{fill:none;stroke-width:2.2}.faint{opacity:.5;stroke-width:1.4}.b{font-weight:600}
.s0{stroke:#d55e00}.s1{stroke:#e69f00;stroke-dasharray:9 4}.s2{stroke:#0072b2;stroke-dasharray:2 4}.s3{stroke:#cc79a7;stroke-dasharray:12 4 3 4}.s4{stroke:#009e73}.s5{stroke:#56b4e9;stroke-dasharray:5 3}
.f0{fill:#d55e00}.f1{fill:#e69f00}.f2{fill:#0072b2}.f3{fill:#cc79a7}.f4{fill:#009e73}.f5{fill:#56b4e9}
@media (prefers-color-scheme:dark){.bg{fill:#0f1113}.fg{fill:#eef1f4}.dim{fill:#a3aeba}.axis{stroke:#7b8591}.grid{stroke:#2b3138}.no{fill:#2b3138}.mark{stroke:#eef1f4}.s2{stroke:#5aa9e6}.f2{fill:#5aa9e6}}
`

const styleElement = "<style>" + Style + "</style>\n"

// Inline is a chart for a page that has Style itself.
func Inline(svg []byte) []byte { return bytes.Replace(svg, []byte(styleElement), nil, 1) }

// canvas collects the parts of one chart.
type canvas struct{ b strings.Builder }

// newCanvas begins a chart of a height, in pixels.
func newCanvas(h Head, height int) *canvas {
	c := &canvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" role="img" aria-labelledby="%s-t %s-d">`, h.width(), height, h.ID, h.ID)
	fmt.Fprintf(&c.b, "\n<title id=\"%s-t\">%s</title>\n<desc id=\"%s-d\">%s</desc>\n%s", h.ID, html.EscapeString(h.Title), h.ID, html.EscapeString(h.About), styleElement)
	fmt.Fprintf(&c.b, "<rect class=\"bg\" width=\"%.0f\" height=\"%d\"/>\n", h.width(), height)
	return c
}

func (c *canvas) done() []byte { return []byte(c.b.String() + "</svg>\n") }

func (c *canvas) text(x, y float64, class, anchor, words string) {
	fmt.Fprintf(&c.b, "<text x=\"%s\" y=\"%s\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", num(x), num(y), class, anchor, html.EscapeString(words))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, "<path class=\"%s\" d=\"M%s %sL%s %s\"/>\n", class, num(x1), num(y1), num(x2), num(y2))
}

func (c *canvas) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.b, "<rect class=\"%s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"/>\n", class, num(x), num(y), num(w), num(h))
}

func (c *canvas) dot(class string, x, y float64) {
	fmt.Fprintf(&c.b, "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"4.5\"/>\n", class, num(x), num(y))
}

// steps draws a line in steps through points.
func (c *canvas) steps(class string, points [][2]float64) {
	var d strings.Builder
	for i, p := range points {
		if i == 0 {
			d.WriteString("M" + num(p[0]) + " " + num(p[1]))
			continue
		}
		d.WriteString("H" + num(p[0]) + "V" + num(p[1]))
	}
	fmt.Fprintf(&c.b, "<path class=\"%s\" d=\"%s\"/>\n", class, d.String())
}

// num is a coordinate with one digit behind the point at most.
func num(x float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
}

// scale maps values from 0 to most onto pixels.
type scale struct{ most, from, to float64 }

func (s scale) at(v float64) float64 { return s.from + (s.to-s.from)*v/s.most }

// ceiling is a round number that is not below n.
func ceiling(n float64) float64 {
	for base := 1.0; ; base *= 10 {
		for _, step := range []float64{1, 2, 3, 4, 5, 6, 8} {
			if base*step >= n {
				return base * step
			}
		}
	}
}

// ticks are four to six round values from 0 to a ceiling.
func ticks(most float64) (values []float64) {
	parts := map[byte]float64{'1': 5, '3': 3, '5': 5, '6': 3}[num(most)[0]]
	if parts == 0 {
		parts = 4
	}
	for i := 0.0; i <= parts; i++ {
		values = append(values, most*i/parts)
	}
	return values
}
