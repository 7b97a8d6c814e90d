package chart

import (
	"fmt"
	"strings"
)

// Head is what every chart begins with: an id that is unique on a page, a title
// and a description in words.
type Head struct{ ID, Title, About string }

// Panel is one of several small charts that share their axes: the line of a
// level, with the lines of the others faint behind it.
type Panel struct {
	Series string // gives it its look
	Label  string
	Points [][2]float64 // x, and y in percent
}

// Multiples draws a panel for each series, two in a row, y from 0 to 100 %.
func Multiples(h Head, xLabel string, most float64, panels []Panel) []byte {
	const width, panelHeight, panelWidth = 720, 190, 236
	rows := (len(panels) + 1) / 2
	c := newCanvas(h.ID, h.Title, h.About, width, rows*panelHeight+10)
	for i, p := range panels {
		left, top := float64(i%2)*360+52, float64(i/2*panelHeight)+34
		x, y := scale{most, left, left + panelWidth}, scale{100, top + 110, top}
		c.text(left, top-12, "fg b", "start", p.Label)
		for _, percent := range []float64{0, 50, 100} {
			c.line("grid", left, y.at(percent), left+panelWidth, y.at(percent))
			c.text(left-6, y.at(percent)+4, "dim", "end", fmt.Sprintf("%.0f %%", percent))
		}
		for _, other := range panels {
			if other.Series != p.Series {
				c.steps(fmt.Sprintf("l faint s%d", looks[other.Series]), project(other.Points, x, y))
			}
		}
		c.steps(fmt.Sprintf("l s%d", looks[p.Series]), project(p.Points, x, y))
		if n := len(p.Points); n > 0 {
			last := p.Points[n-1]
			c.text(x.at(last[0])+4, y.at(last[1])+4, "fg b", "start", p.Series)
		}
		c.text(left, top+130, "dim", "start", "0")
		c.text(left+panelWidth/2, top+130, "dim", "middle", xLabel)
		c.text(left+panelWidth, top+130, "dim", "end", fmt.Sprintf("%.0f", most))
	}
	return c.done()
}

func project(points [][2]float64, x, y scale) (out [][2]float64) {
	for _, p := range points {
		out = append(out, [2]float64{x.at(p[0]), y.at(p[1])})
	}
	return out
}

// Row is one strip of texts: # read, o read by a stolen prekey, . not read.
type Row struct {
	Series, Label string
	Strip         string
	Seized        []int // moments, as numbers of texts
	Value         string
}

// Strips draws a strip for each row, with a line where a device was seized.
func Strips(h Head, rows []Row) []byte {
	const width, rowHeight = 720, 36
	c := newCanvas(h.ID, h.Title, h.About, width, len(rows)*rowHeight+46)
	for i, r := range rows {
		top := float64(i*rowHeight) + 12
		x := scale{float64(max(1, len(r.Strip))), 150, 620}
		c.text(142, top+16, "fg b", "end", r.Label)
		c.rect("no", 150, top, 470, 24)
		for from := 0; from < len(r.Strip); {
			to := from
			for to < len(r.Strip) && r.Strip[to] == r.Strip[from] {
				to++
			}
			if r.Strip[from] != '.' {
				c.rect(fmt.Sprintf("f%d", looks[r.Series]), x.at(float64(from)), top, x.at(float64(to))-x.at(float64(from)), 24)
			}
			from = to
		}
		for _, m := range r.Seized {
			c.line("mark", x.at(float64(m)), top-5, x.at(float64(m)), top+29)
		}
		c.text(628, top+16, "fg", "start", r.Value)
	}
	bottom := float64(len(rows)*rowHeight) + 34
	c.text(150, bottom, "dim", "start", "first text")
	c.text(385, bottom, "dim", "middle", "│ device seized")
	c.text(620, bottom, "dim", "end", "last text")
	return c.done()
}

// Bar is one stacked bar.
type Bar struct {
	Label string
	Parts []float64 // in the order of the legend
	Value string
}

// Bars draws horizontal stacked bars.
func Bars(h Head, legend []string, bars []Bar) []byte {
	const width, rowHeight = 720, 36
	c := newCanvas(h.ID, h.Title, h.About, width, len(bars)*rowHeight+52)
	most := 1.0
	for _, b := range bars {
		most = max(most, sum(b.Parts))
	}
	x := scale{ceiling(most), 150, 620}
	for i, b := range bars {
		top, at := float64(i*rowHeight)+36, 0.0
		c.text(142, top+16, "fg b", "end", b.Label)
		for j, part := range b.Parts {
			c.rect(fmt.Sprintf("f%d", j), x.at(at), top, x.at(at+part)-x.at(at), 24)
			at += part
		}
		c.text(x.at(at)+8, top+16, "fg", "start", b.Value)
	}
	left := 150.0
	for j, name := range legend {
		c.rect(fmt.Sprintf("f%d", j), left, 8, 14, 14)
		c.text(left+20, 20, "fg", "start", name)
		left += 34 + 7.2*float64(len(name))
	}
	return c.done()
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

// Curve is one line or cloud of a chart with two axes.
type Curve struct {
	Series, Label string
	Points        [][2]float64
	Names         []string // beside each point; nil for none
}

// Axes are the words at the axes.
type Axes struct{ X, Y string }

// Curves draws points, joined in the order given, with a label at the last.
func Curves(h Head, axes Axes, curves []Curve) []byte {
	const width, height = 720, 330
	c := newCanvas(h.ID, h.Title, h.About, width, height)
	mostX, mostY := 1.0, 1.0
	for _, curve := range curves {
		for _, p := range curve.Points {
			mostX, mostY = max(mostX, p[0]), max(mostY, p[1])
		}
	}
	x, y := scale{ceiling(mostX), 60, 560}, scale{ceiling(mostY), 270, 40}
	for _, v := range ticks(y.most) {
		c.line("grid", 60, y.at(v), 560, y.at(v))
		c.text(54, y.at(v)+4, "dim", "end", num(v))
	}
	for _, v := range ticks(x.most) {
		c.text(x.at(v), 288, "dim", "middle", num(v))
	}
	c.text(60, 24, "dim", "start", axes.Y)
	c.text(310, 312, "dim", "middle", axes.X)
	for _, curve := range curves {
		c.curve(curve, x, y)
	}
	return c.done()
}

func (c *canvas) curve(curve Curve, x, y scale) {
	var d strings.Builder
	for i, p := range project(curve.Points, x, y) {
		d.WriteString(string("ML"[min(i, 1)]) + num(p[0]) + " " + num(p[1]))
		c.dot(fmt.Sprintf("f%d", looks[curve.Series]), p[0], p[1])
		if i < len(curve.Names) {
			c.text(p[0]+7, p[1]-7, "dim", "start", curve.Names[i])
		}
		if labelled := boundary(curve); i == labelled {
			c.text(p[0]+12, p[1]+5, "fg b", "start", curve.Label)
		}
	}
	fmt.Fprintf(&c.b, "<path class=\"l s%d\" d=\"%s\"/>\n", looks[curve.Series], d.String())
}

// boundary is the point beside which a curve's label has room: the last, or the
// first where the points have names.
func boundary(c Curve) int {
	if len(c.Names) > 0 {
		return 0
	}
	return len(c.Points) - 1
}
