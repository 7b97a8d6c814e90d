// Package visible makes text from other people safe to print. A terminal obeys
// control sequences hidden in a message: they can rewrite the screen, fill the
// clipboard, or turn the order of letters round. Text and JSON replace every
// such character by an escape that a reader can see.
//
// The package has no protocol words of its own.
package visible

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tab is what stands for a tabulator on a terminal: a raw one is a control.
const tab = "    "

// Text returns s for a terminal. The only control character left in it is the
// newline: a tabulator becomes four spaces, CR LF becomes a newline, and every
// other control, bidirectional mark and broken byte becomes an escape such as
// \x1b or \u202e. Text(Text(s)) is Text(s).
func Text(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteString(tab)
		case r == '\n' || !acts(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// Block is Text with every line after the first pushed in by indent, so that no
// line of a message can pass for a line of the program.
func Block(s, indent string) string {
	return strings.ReplaceAll(Text(s), "\n", "\n"+indent)
}

// JSON escapes, in an encoded JSON value, the characters that act on a terminal
// and that the encoder left as they are. A parser gets the same value back.
func JSON(encoded []byte) []byte {
	out := make([]byte, 0, len(encoded))
	for _, r := range string(encoded) {
		if r >= 0x7f && acts(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// acting are characters outside Unicode's control category that reorder or
// break lines, or annotate them out of sight. All lie below U+10000.
var acting = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x061c, Hi: 0x061c, Stride: 1}, // Arabic letter mark
	{Lo: 0x200e, Hi: 0x200f, Stride: 1}, // left-to-right and right-to-left mark
	{Lo: 0x2028, Hi: 0x202e, Stride: 1}, // separators, embeddings, overrides
	{Lo: 0x2066, Hi: 0x2069, Stride: 1}, // isolates
	{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, // byte order mark
	{Lo: 0xfff9, Hi: 0xfffb, Stride: 1}, // annotations
}}

// acts reports whether a terminal might do something other than draw r.
func acts(r rune) bool { return unicode.IsControl(r) || unicode.Is(acting, r) }
