package chart

import "fmt"

// Head is what every chart begins with: an id that is unique on a page, a title
// and a description in words. A narrow chart shows the same on a telephone: its
// letters are as large as the text around it on a screen of 360 pixels.
type Head struct {
	ID, Title, About string
	Narrow           bool
}

// The widths of charts, in pixels, at which letters are 13 pixels high.
const (
	wideWidth   = 720.0
	narrowWidth = 340.0
)

func (h Head) width() float64 {
	if h.Narrow {
		return narrowWidth
	}
	return wideWidth
}

// Panel is one of several small charts that share their axes: the line of a
// level, with the lines of the others faint behind it.
type Panel struct {
	Series string // gives it its look
	Label  string
	Points [][2]float64 // x, and y in percent
}

// plots says where the panels of small multiples lie: how many are in a row, how
// far they are apart, and the left edge, width and height of each plot.
type plots struct {
	columns                         int
	right, down, left, wide, height float64
}

func (h Head) plots() plots {
	if h.Narrow {
		return plots{1, 0, 150, 52, 214, 84}
	}
	return plots{2, 360, 180, 52, 230, 110}
}

// Multiples draws a panel for each series, y from 0 to 100 %: two in a row, or
// in a narrow chart one below the other.
func Multiples(h Head, xLabel string, most float64, panels []Panel) []byte {
	g := h.plots()
	rows := (len(panels) + g.columns - 1) / g.columns
	c := newCanvas(h, rows*int(g.down)+6)
	for i, p := range panels {
		left, top := float64(i%g.columns)*g.right+g.left, float64(i/g.columns)*g.down+34
		x, y := scale{most, left, left + g.wide}, scale{100, top + g.height, top}
		c.text(left, top-12, "fg b", "start", p.Label)
		for _, percent := range []float64{0, 50, 100} {
			c.line("grid", left, y.at(percent), left+g.wide, y.at(percent))
			c.text(left-6, y.at(percent)+4, "dim", "end", fmt.Sprintf("%.0f\u00a0%%", percent))
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
		under := top + g.height + 20
		c.text(left, under, "dim", "start", "0")
		c.text(left+g.wide/2, under, "dim", "middle", xLabel)
		c.text(left+g.wide, under, "dim", "end", fmt.Sprintf("%.0f", most))
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

// lanes says where horizontal bars lie: from where to where they may reach, how
// far they are apart, and how high they are. In a narrow chart the words stand
// above a bar, else beside it.
type lanes struct{ from, to, down, thick float64 }

func (h Head) lanes() lanes {
	if h.Narrow {
		return lanes{8, 332, 52, 20}
	}
	return lanes{150, 620, 36, 24}
}

// Strips draws a strip for each row, with a line where a device was seized.
func Strips(h Head, rows []Row) []byte {
	g := h.lanes()
	c := newCanvas(h, len(rows)*int(g.down)+46)
	for i, r := range rows {
		top := float64(i)*g.down + 12
		if h.Narrow {
			c.text(g.from, top+9, "fg b", "start", r.Label)
			c.text(g.to, top+9, "fg", "end", r.Value)
			top += 17
		} else {
			c.text(g.from-8, top+16, "fg b", "end", r.Label)
			c.text(g.to+8, top+16, "fg", "start", r.Value)
		}
		c.strip(r, g, top)
	}
	bottom := float64(len(rows))*g.down + 34
	c.text(g.from, bottom, "dim", "start", "first text")
	c.text((g.from+g.to)/2, bottom, "dim", "middle", "│ device seized")
	c.text(g.to, bottom, "dim", "end", "last text")
	return c.done()
}

// strip draws one strip below a height.
func (c *canvas) strip(r Row, g lanes, top float64) {
	x := scale{float64(max(1, len(r.Strip))), g.from, g.to}
	c.rect("no", g.from, top, g.to-g.from, g.thick)
	for from := 0; from < len(r.Strip); {
		to := from
		for to < len(r.Strip) && r.Strip[to] == r.Strip[from] {
			to++
		}
		if r.Strip[from] != '.' {
			c.rect(fmt.Sprintf("f%d", looks[r.Series]), x.at(float64(from)), top, x.at(float64(to))-x.at(float64(from)), g.thick)
		}
		from = to
	}
	for _, m := range r.Seized {
		c.line("mark", x.at(float64(m)), top-4, x.at(float64(m)), top+g.thick+4)
	}
}

// Bar is one stacked bar.
type Bar struct {
	Label string
	Parts []float64 // in the order of the legend
	Value string
}

// Bars draws horizontal stacked bars under a legend.
func Bars(h Head, legend []string, bars []Bar) []byte {
	g := h.lanes()
	columns, apart := 5, 138.0
	if h.Narrow {
		columns, apart = 2, 160
	}
	above := float64((len(legend)+columns-1)/columns)*22 + 14
	c := newCanvas(h, int(above)+len(bars)*int(g.down)+6)
	for j, name := range legend {
		left, top := 8+float64(j%columns)*apart, 8+float64(j/columns)*22
		c.rect(fmt.Sprintf("f%d", j), left, top, 14, 14)
		c.text(left+20, top+12, "fg", "start", name)
	}
	most := 1.0
	for _, b := range bars {
		most = max(most, sum(b.Parts))
	}
	x := scale{ceiling(most), g.from, g.to}
	for i, b := range bars {
		c.bar(h, b, x, g, above+float64(i)*g.down)
	}
	return c.done()
}

// bar draws one bar with its words below a height.
func (c *canvas) bar(h Head, b Bar, x scale, g lanes, top float64) {
	end := x.at(sum(b.Parts))
	if h.Narrow {
		c.text(g.from, top+13, "fg b", "start", b.Label)
		c.text(g.to, top+13, "fg", "end", b.Value)
		top += 20
	} else {
		c.text(g.from-8, top+16, "fg b", "end", b.Label)
		c.text(end+8, top+16, "fg", "start", b.Value)
	}
	at := 0.0
	for j, part := range b.Parts {
		c.rect(fmt.Sprintf("f%d", j), x.at(at), top, x.at(at+part)-x.at(at), g.thick)
		at += part
	}
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}
