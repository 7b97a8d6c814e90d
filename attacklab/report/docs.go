package report

import (
	"errors"
	"fmt"
	"strings"

	"github.com/posthorn/posthorn/attacklab"
)

// ErrBlock says that a document lacks the beginning or the end of a block, or
// names one that the lab does not write.
var ErrBlock = errors.New("report: a block of the lab's figures has no end, or no such name")

const (
	blockBegin = "<!-- lab: "
	blockEnd   = "<!-- end of lab -->"
)

// Refresh puts a result's tables into a document, between lines of the form
// "<!-- lab: NAME -->" and "<!-- end of lab -->". The names are levels, windows,
// paces and active. Error: ErrBlock.
func Refresh(document string, r *attacklab.Results) (string, error) {
	tables := map[string]func(*attacklab.Results) string{"levels": levelBlock, "windows": windowBlock, "paces": paceBlock, "active": activeBlock}
	var out strings.Builder
	rest := document
	for {
		before, after, found := strings.Cut(rest, blockBegin)
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, body, named := strings.Cut(after, " -->\n")
		_, tail, ended := strings.Cut(body, blockEnd)
		if tables[name] == nil || !named || !ended {
			return "", fmt.Errorf("%w: %.40q", ErrBlock, after)
		}
		out.WriteString(blockBegin + name + " -->\n" + tables[name](r) + blockEnd)
		rest = tail
	}
}

func markdown(rows ...[]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

func levelBlock(r *attacklab.Results) string {
	rows := [][]string{{"level", "meaning", "examples in Apple's chart of 2024", "read by the server", "recorded, quantum later", "seized device, quantum later"}}
	for _, row := range LevelTable(r) {
		key := row.Key
		if key == "3A" {
			key = "**3A**"
		}
		rows = append(rows, []string{key, row.Meaning, row.Apps, row.Read[0], row.Read[1], row.Read[3]})
	}
	return markdown(rows...)
}

// windowBlock has, for each scenario, how long one seizure was of use at each
// level.
func windowBlock(r *attacklab.Results) string {
	const attacker = "recording + seize bob at random + quantum"
	head := []string{"scenario"}
	for _, key := range r.Options.Levels {
		head = append(head, "Level "+key)
	}
	rows := [][]string{head}
	for _, x := range r.Readings {
		if x.Attacker != attacker {
			continue
		}
		if last := rows[len(rows)-1]; last[0] != x.Scenario {
			rows = append(rows, []string{x.Scenario})
		}
		cell := "all after it"
		if x.Healed {
			cell = counted(x.Window, "text")
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], cell)
	}
	return markdown(rows...)
}

func paceBlock(r *attacklab.Results) string {
	s, ok := paces(r)
	if !ok {
		return ""
	}
	return markdown(append([][]string{s.Head}, s.Rows...)...)
}

func activeBlock(r *attacklab.Results) string {
	s, ok := attempts(r)
	if !ok {
		return ""
	}
	return markdown(append([][]string{s.Head}, s.Rows...)...)
}
