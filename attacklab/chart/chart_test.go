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
	for _, narrow := range []bool{false, true} {
		testCharts(t, Head{"x", "A < B", `says "so" & more`, narrow})
	}
}

func testCharts(t *testing.T, h Head) {
	t.Helper()
	draw := map[string]func() []byte{
		"multiples": func() []byte {
			return Multiples(h, "text", 10, []Panel{{"0", "Level 0", [][2]float64{{0, 100}, {10, 100}}}, {"3A", "Level 3A", [][2]float64{{0, 3}, {10, 1}}}})
		},
		"strips": func() []byte {
			return Strips(h, []Row{{"3A", "3A", "..##o.", []int{2}, "50 %"}, {"0", "0", "", nil, ""}})
		},
		"bars": func() []byte { return Bars(h, []string{"a", "b"}, []Bar{{"1", []float64{3, 4}, "7"}, {"2", nil, "0"}}) },
		"curves": func() []byte {
			return Curves(h, Axes{"x", "y"}, []Curve{{"paced", "paced", [][2]float64{{1, 2}, {3, 4}}, []string{"p"}, nil}, {"2", "more", [][2]float64{{1, 1}}, nil, [][2]float64{{1, 9}, {2, 9}}}})
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
		inline := string(Inline(f()))
		if strings.Contains(inline, "<style") || len(inline)+len(styleElement) != len(svg) {
			t.Errorf("%s keeps its style in a page", name)
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

// TestTicksAreRound: whatever the axis ends with, its ticks are whole numbers if
// that is one with room for them.
func TestTicksAreRound(t *testing.T) {
	for _, most := range []float64{5, 10, 20, 30, 40, 50, 60, 80, 100, 200, 300, 600, 5_000} {
		values := ticks(most)
		if len(values) < 4 || len(values) > 6 || values[len(values)-1] != most {
			t.Errorf("%v: %v", most, values)
		}
		for _, v := range values {
			if v != float64(int(v)) || most >= 20 && int(v)%5 != 0 {
				t.Errorf("%v: %v is not round", most, v)
			}
		}
	}
}
