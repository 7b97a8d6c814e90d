package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/posthorn/posthorn/server"
)

// The values of options that are quantities. Each knows the range in which it
// makes sense, and refuses everything else.

// bytesUnits are the units of a size, the largest first.
var bytesUnits = []struct {
	name  string
	bytes uint64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// parseSize reads a number of bytes: 65536, 64KiB, 1GiB.
func parseSize(text string) (uint64, error) {
	number, unit := text, uint64(1)
	for _, u := range bytesUnits {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = n, u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, errors.New("a size is a whole number of B, KiB, MiB, GiB or TiB, such as 64MiB")
	}
	return n * unit, nil
}

func sizeText(n uint64) string {
	for _, u := range bytesUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatUint(n/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

const day = 24 * time.Hour

// parseDuration reads a duration as Go writes it, or whole days: 90s, 12h, 30d.
func parseDuration(text string) (time.Duration, error) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err == nil {
			return time.Duration(n) * day, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	return 0, errors.New("a duration is a number with a unit, such as 90s, 12h or 30d")
}

func durationText(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}

// parseRate reads a rate: how much a second, a colon, and how much at once.
func parseRate(text string, number func(string) (uint64, error)) (server.Rate, error) {
	second, burst, ok := strings.Cut(text, ":")
	each, err := number(second)
	all, burstErr := number(burst)
	if !ok || err != nil || burstErr != nil || each == 0 || all == 0 || each > math.MaxInt32 || all > math.MaxInt32 {
		return server.Rate{}, errors.New("a rate is how much a second and how much at once, both above 0, such as 20:300")
	}
	return server.Rate{PerSecond: float64(each), Burst: int(all)}, nil
}

func parseCount(text string) (uint64, error) { return strconv.ParseUint(text, 10, 31) }

// count is a whole number between two others.
type count[T ~int | ~uint32] struct {
	to          *T
	least, most T
}

func (c count[T]) Type() string   { return "number" }
func (c count[T]) String() string { return strconv.FormatUint(uint64(*c.to), 10) }
func (c count[T]) Set(text string) error {
	n, err := parseCount(text)
	if err != nil || n < uint64(c.least) || n > uint64(c.most) {
		return fmt.Errorf("it is a whole number from %d to %d", c.least, c.most)
	}
	*c.to = T(n)
	return nil
}

// size is a number of bytes between two others.
type size[T ~int | ~uint64] struct {
	to          *T
	least, most uint64
}

func (s size[T]) Type() string   { return "size" }
func (s size[T]) String() string { return sizeText(uint64(*s.to)) }
func (s size[T]) Set(text string) error {
	n, err := parseSize(text)
	if err != nil {
		return err
	}
	if n < s.least || n > s.most {
		return fmt.Errorf("it is a size from %s to %s", sizeText(s.least), sizeText(s.most))
	}
	*s.to = T(n)
	return nil
}

// span is a duration between two others.
type span struct {
	to          *time.Duration
	least, most time.Duration
}

func (s span) Type() string   { return "duration" }
func (s span) String() string { return durationText(*s.to) }
func (s span) Set(text string) error {
	d, err := parseDuration(text)
	if err != nil {
		return err
	}
	if d < s.least || d > s.most {
		return fmt.Errorf("it is a duration from %s to %s", durationText(s.least), durationText(s.most))
	}
	*s.to = d
	return nil
}

// pace is a rate of calls.
type pace struct{ to *server.Rate }

func (p pace) Type() string { return "rate" }
func (p pace) String() string {
	return fmt.Sprintf("%d:%d", uint64(p.to.PerSecond), p.to.Burst)
}
func (p pace) Set(text string) (err error) {
	r, err := parseRate(text, parseCount)
	if err == nil {
		*p.to = r
	}
	return err
}

// flow is a rate of bytes. What is sent at once must hold one envelope.
type flow struct {
	to    *server.Rate
	least int
}

func (f flow) Type() string { return "rate" }
func (f flow) String() string {
	return sizeText(uint64(f.to.PerSecond)) + ":" + sizeText(uint64(f.to.Burst))
}
func (f flow) Set(text string) error {
	r, err := parseRate(text, parseSize)
	if err != nil {
		return errors.New("a rate of bytes is how much a second and how much at once, such as 4MiB:64MiB")
	}
	if r.Burst < f.least {
		return fmt.Errorf("at once it is at least %s", sizeText(uint64(f.least)))
	}
	*f.to = r
	return nil
}
