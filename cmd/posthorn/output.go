package main

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/posthorn/posthorn/internal/visible"
)

// printJSON writes one value as one line. Characters that act on a terminal
// are escaped, and a parser still gets every text back byte for byte.
func (a *app) printJSON(value any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	encoded := bytes.TrimSuffix(line.Bytes(), []byte("\n"))
	_, err := a.stdout.Write(append(visible.JSON(encoded), '\n'))
	return err
}

// moment is a time in JSON: RFC 3339 in UTC with milliseconds, null if unknown.
type moment time.Time

// MarshalJSON writes the time.
func (m moment) MarshalJSON() ([]byte, error) {
	if time.Time(m).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(m).UTC().Format("2006-01-02T15:04:05.000Z"))
}

// clock is a time for people: local, to the minute.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}
