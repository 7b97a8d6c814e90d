// Package procfs reads how much memory and processor time another process uses.
//
// The package is for benchmarks alone.
package procfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Resident is how much memory a process has in use, in bytes.
func Resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); err == nil {
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("no resident size in /proc")
}

// CPU is the processor time that a process has used, in all its threads.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const ticksASecond = 100 // what Linux counts in, on every platform Go knows
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int64
	if len(fields) > 12 {
		_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	}
	return time.Duration(user+system) * time.Second / ticksASecond, err
}

// CalmResident is Resident once the process has given back what it needed for a
// moment: once its memory has not fallen for so long, or after ten times that.
func CalmResident(ctx context.Context, pid int, calm time.Duration) (int64, error) {
	limit, step := 10*calm, calm/30
	least, err := Resident(pid)
	if err != nil {
		return 0, err
	}
	for began, fell := time.Now(), time.Now(); time.Since(fell) < calm && time.Since(began) < limit; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(step):
		}
		now, err := Resident(pid)
		if err != nil {
			return 0, err
		}
		if now < least-least/100 {
			least, fell = now, time.Now()
		}
	}
	return Resident(pid)
}
