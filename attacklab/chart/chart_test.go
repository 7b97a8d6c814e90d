package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// Every chart is well-formed XML, the same at each call, and says in words what
// it shows.
func TestChartsAreWellFormedAndNamed(t *testing.T) {
	h := Head{"x", "A < B", `says "so" & more`}
	draw := map[string]func() []byte{
		"multiples": func() []byte {
			return Multiples(h, "text", 10, []Panel{{"0", "Level 0", [][2]float64{{0, 100}, {10, 100}}}, {"3A", "Level 3A", [][2]float64{{0, 3}, {10, 1}}}})
		},
		"strips": func() []byte {
			return Strips(h, []Row{{"3A", "3A", "..##o.", []int{2}, "50 %"}, {"0", "0", "", nil, ""}})
		},
		"bars": func() []byte { return Bars(h, []string{"a", "b"}, []Bar{{"1", []float64{3, 4}, "7"}, {"2", nil, "0"}}) },
		"curves": func() []byte {
			return Curves(h, Axes{"x", "y"}, []Curve{{"paced", "paced", [][2]float64{{1, 2}, {3, 4}}, []string{"p"}}})
		},
	}
	for name, f := range draw {
		svg := string(f())
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, part := range []string{"<title id=\"x-t\">A &lt; B</title>", "<desc id=\"x-d\">", `role="img"`, "prefers-color-scheme:dark"} {
			if !strings.Contains(svg, part) {
				t.Errorf("%s has no %s", name, part)
			}
		}
		if svg != string(f()) || strings.Contains(svg, "NaN") || strings.Contains(svg, "<script") {
			t.Errorf("%s is not what it should be", name)
		}
	}
}

func TestCeilingIsRound(t *testing.T) {
	for n, want := range map[float64]float64{0.4: 1, 1: 1, 7: 8, 9: 10, 11: 20, 53: 60, 454: 500, 601: 800} {
		if got := ceiling(n); got != want {
			t.Errorf("%v: %v, want %v", n, got, want)
		}
	}
}
