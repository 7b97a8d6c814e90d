package client

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSafeName is the longest name that a file is saved under, in bytes: what
// every file system takes, with room for a number.
const maxSafeName = 200

// maxExtension is the longest ending that is kept when a name is cut.
const maxExtension = 20

// SafeName turns any text into the name of a file in a folder, near to the text:
// without a path, without characters that act on a terminal, hide, or mean
// something to a shell or a file system, not hidden, not a device of any system,
// and not too long. A name that is harmless stays as it is. SafeName(SafeName(s))
// is SafeName(s).
func SafeName(s string) string {
	s = strings.ReplaceAll(s, `\`, "/")
	s = s[strings.LastIndexByte(s, '/')+1:]
	s = strings.Map(harmless, strings.ToValidUTF8(s, "_"))
	s = shorten(strings.Trim(s, " "))
	s = strings.TrimRight(s, " .")
	if s == "" {
		return "attachment"
	}
	if s[0] == '.' || s[0] == '-' || s[0] == '~' || isDevice(s) {
		return strings.TrimRight(shorten("_"+strings.TrimLeft(s, ".-~ ")), " .")
	}
	return s
}

// harmless replaces every character that does more than be seen. Letters, marks,
// digits, signs and the space stay, of every script.
func harmless(r rune) rune {
	if !unicode.IsPrint(r) || strings.ContainsRune(`<>:"/\|?*`, r) {
		return '_'
	}
	return r
}

// shorten cuts the middle out of a name that is too long, so that its ending
// stays.
func shorten(s string) string {
	if len(s) <= maxSafeName {
		return s
	}
	ending := path.Ext(s)
	if len(ending) > maxExtension {
		ending = ""
	}
	cut := maxSafeName - len(ending)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + ending
}

// devices are names that Windows takes for something else than files, with any
// ending behind them.
var devices = []string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}

func isDevice(s string) bool {
	stem, _, _ := strings.Cut(s, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	if slices.Contains(devices, stem) {
		return true
	}
	number, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		number, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

// numbered is the name that is tried when the ones before are taken: the plain
// one, then "name (2).ext" and so on.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	ending := path.Ext(name)
	return fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ending), n, ending)
}
