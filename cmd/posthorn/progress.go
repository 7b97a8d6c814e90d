package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/visible"
)

// bar shows how far a transfer is, on one line of the terminal that is written
// again and cleared at the end. Where standard error is no terminal it shows
// nothing.
type bar struct {
	out   *os.File // nil: not a terminal
	what  string
	shown int // columns in use
	last  time.Time
}

// redraw is the shortest time between two states of a bar.
const redraw = 100 * time.Millisecond

func (a *app) newBar(what string) *bar {
	out, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		out = nil
	}
	return &bar{out: out, what: what}
}

var _ client.Progress = (*bar)(nil).tell

func (b *bar) tell(name string, done, total uint64) {
	if b.out == nil || total == 0 || time.Since(b.last) < redraw && done < total {
		return
	}
	b.last = time.Now()
	columns, _, err := term.GetSize(int(b.out.Fd()))
	if err != nil || columns <= 0 { // some terminals do not say
		columns = 80
	}
	b.draw(barLine(b.what, name, done, total, columns-1))
}

func (b *bar) draw(line string) {
	columns := len([]rune(line))
	fmt.Fprintf(b.out, "\r%s%s", line, strings.Repeat(" ", max(0, b.shown-columns)))
	b.shown = columns
}

// end clears the line, so that what follows begins at the margin.
func (b *bar) end() {
	if b.out != nil && b.shown > 0 {
		fmt.Fprintf(b.out, "\r%s\r", strings.Repeat(" ", b.shown))
		b.shown = 0
	}
}

// barLine is the state of a transfer in at most so many columns.
func barLine(what, name string, done, total uint64, columns int) string {
	const cells = 20
	full := int(cells * done / total)
	left := []rune(visible.Text(strings.ReplaceAll(name, "\n", " ")))
	right := fmt.Sprintf(" [%s%s] %3d%%, %s of %s", strings.Repeat("#", full), strings.Repeat(".", cells-full), 100*done/total, amount(done), amount(total))
	room := columns - len(what) - 1 - len(right)
	if room < 4 {
		line := []rune(fmt.Sprintf("%s %d%%", what, 100*done/total))
		return string(line[:min(len(line), max(0, columns))])
	}
	if len(left) > room {
		left = append(left[:room-1], '…')
	}
	return what + " " + string(left) + right
}

// visiblePath is a path for the terminal; the folder in it is the user's own
// word and may hold anything.
func visiblePath(path string) string { return strings.ReplaceAll(visible.Text(path), "\n", `\n`) }
