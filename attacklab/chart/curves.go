package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Curve is one line or cloud of a chart with two axes.
type Curve struct {
	Series, Label string
	Points        [][2]float64
	Names         []string     // beside each point; nil for none
	Limit         [][2]float64 // a faint line that Points should not cross; nil for none
}

// Axes are the words at the axes.
type Axes struct{ X, Y string }

// Curves draws points, joined in the order given. In a wide chart each curve has
// its label beside it, in a narrow one in a legend above.
func Curves(h Head, axes Axes, curves []Curve) []byte {
	left, right, top, high := 60.0, 560.0, 40.0, 230.0
	if h.Narrow {
		left, right, top, high = 40, 316, 40+20*float64(len(curves)), 190
	}
	c := newCanvas(h, int(top+high)+60)
	mostX, mostY := 1.0, 1.0
	for _, curve := range curves {
		for _, p := range slices.Concat(curve.Limit, curve.Points) {
			mostX, mostY = max(mostX, p[0]), max(mostY, p[1])
		}
	}
	x, y := scale{ceiling(mostX), left, right}, scale{ceiling(mostY), top + high, top}
	for _, v := range ticks(y.most) {
		c.line("grid", left, y.at(v), right, y.at(v))
		c.text(left-6, y.at(v)+4, "dim", "end", num(v))
	}
	for _, v := range ticks(x.most) {
		c.text(x.at(v), top+high+18, "dim", "middle", num(v))
	}
	c.text((left+right)/2, top+high+42, "dim", "middle", axes.X)
	if h.Narrow {
		c.text(8, top-16, "dim", "start", axes.Y)
		c.legend(curves)
	} else {
		c.text(left, top-16, "dim", "start", axes.Y)
	}
	for _, curve := range curves {
		c.curve(h, curve, x, y)
	}
	return c.done()
}

// legend has a line for each curve, with its colour and its dashes.
func (c *canvas) legend(curves []Curve) {
	for i, curve := range curves {
		y := 14 + 20*float64(i)
		c.line(fmt.Sprintf("l s%d", looks[curve.Series]), 8, y, 44, y)
		c.dot(fmt.Sprintf("f%d", looks[curve.Series]), 26, y)
		c.text(52, y+5, "fg b", "start", curve.Label)
	}
}

func (c *canvas) curve(h Head, curve Curve, x, y scale) {
	if limit := joined(project(curve.Limit, x, y)); limit != "" {
		fmt.Fprintf(&c.b, "<path class=\"l faint s%d\" d=\"%s\"/>\n", looks[curve.Series], limit)
	}
	points := project(curve.Points, x, y)
	above := math.Inf(-1)
	for i, p := range points {
		c.dot(fmt.Sprintf("f%d", looks[curve.Series]), p[0], p[1])
		if i < len(curve.Names) {
			above = c.name(h, p, curve.Names[i], above)
		}
		if !h.Narrow && i == boundary(curve) {
			c.text(p[0]+12, p[1]+beside(curve), "fg b", "start", curve.Label)
		}
	}
	fmt.Fprintf(&c.b, "<path class=\"l s%d\" d=\"%s\"/>\n", looks[curve.Series], joined(points))
}

// name writes beside a point. In a narrow chart it stands above, and below where
// the last one above is too near; above is where that one is.
func (c *canvas) name(h Head, p [2]float64, name string, above float64) float64 {
	switch {
	case !h.Narrow:
		c.text(p[0]+7, p[1]-7, "dim", "start", name)
	case math.Abs(p[0]-above) < 20:
		c.text(p[0], p[1]+18, "dim", "middle", name)
		return above
	default:
		c.text(p[0], p[1]-9, "dim", "middle", name)
	}
	return p[0]
}

// joined is the path through points.
func joined(points [][2]float64) string {
	var d strings.Builder
	for i, p := range points {
		d.WriteString(string("ML"[min(i, 1)]) + num(p[0]) + " " + num(p[1]))
	}
	return d.String()
}

// boundary is the point beside which a curve's label has room: the last, or the
// first where the points have names.
func boundary(c Curve) int {
	if len(c.Names) > 0 {
		return 0
	}
	return len(c.Points) - 1
}

// beside is how far the foot of a label lies below its point: more where the
// point has a name above.
func beside(c Curve) float64 {
	if len(c.Names) > 0 {
		return 11
	}
	return 5
}
