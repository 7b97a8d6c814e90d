//go:build testhooks

package clock

import (
	"os"
	"strings"
	"time"
)

// offsetVariable names the environment variable with the offset: a duration as
// time.ParseDuration reads it, or @FILE with one in the file.
const offsetVariable = "POSTHORN_TEST_CLOCK_OFFSET"

// longestNap bounds how late a jump of the offset is noticed.
const longestNap = time.Second

// patience is how long a file that is just being rewritten may be empty.
const patience = time.Minute

// Now is the product's time: the machine's, shifted by the offset, which is
// read again at every call. It panics when the offset is not a duration or its
// file cannot be read.
func Now() time.Time { return time.Now().Add(offset()) }

// Nap is how long a loop that waits for product time may sleep before it looks
// at Now again. It is at most a second, so that a jump of the offset is
// noticed.
func Nap(d time.Duration) time.Duration { return min(d, longestNap) }

func offset() time.Duration {
	text := strings.TrimSpace(os.Getenv(offsetVariable))
	if file, isFile := strings.CutPrefix(text, "@"); isFile {
		text = readOffset(file)
	} else if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic("clock: " + offsetVariable + ": " + err.Error())
	}
	return d
}

// readOffset reads the file, once more while it is empty: whoever changes it
// with a plain write truncates it first.
func readOffset(file string) string {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if err != nil {
			panic("clock: " + offsetVariable + ": " + err.Error())
		}
		if text := strings.TrimSpace(string(b)); text != "" || time.Now().After(end) {
			return text
		}
	}
}
