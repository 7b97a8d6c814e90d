package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/chart"
)

// weight is bytes per text at each level.
func weight(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "bytes", Title: "What a text weighs on the wire",
		Explain: "Bytes for each text in the scenario of strict alternation, by what they are for. Levels 0 to 2 and 3-sparse do not pad texts, sign no messages and " +
			"cannot say more than their designs do; Posthorn pads every text to at least 128 bytes and signs it. The " +
			"processor time for each message at each level is in timings.json, beside this page: it depends on the machine, so that no seed makes it again.",
		Head: []string{"level", "scenario", "texts", "bytes per text", "ciphertext", "signatures and tags", "headers", "session start", "rekeys"},
	}
	var bars []chart.Bar
	for _, c := range r.Costs {
		each := func(n int) float64 { return float64(n) / float64(max(1, c.Texts)) }
		word := func(n int) string { return strconv.FormatFloat(each(n), 'f', 1, 64) }
		s.Rows = append(s.Rows, []string{c.Level, c.Scenario, strconv.Itoa(c.Texts), word(c.Total), word(c.Text), word(c.Proof), word(c.Header), word(c.Start), word(c.Rekey)})
		if c.Scenario == "alternation" {
			bars = append(bars, chart.Bar{Label: "Level " + c.Level, Parts: []float64{each(c.Text), each(c.Proof), each(c.Header), each(c.Start), each(c.Rekey)}, Value: word(c.Total)})
			if c.Level == "3A" {
				s.Finding = fmt.Sprintf("At Level 3A a short text weighs %s bytes on average, %s of them for rekeying.", word(c.Total), word(c.Rekey))
			}
		}
	}
	if len(bars) == 0 {
		return Section{}, false
	}
	if s.Finding == "" {
		s.Finding = "Better protection weighs more."
	}
	parts := []string{"ciphertext", "signatures, tags", "headers", "session start", "rekeys"}
	s.draw("", func(h chart.Head) []byte { return chart.Bars(h, parts, bars) })
	return s, true
}

// paces is the table of rekey costs.
func paces(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "paces", Title: "Rekeys, by the kind of traffic",
		Explain: "Between the first and the last rekey of a long conversation without losses and receipts. \"Every message\" repeats the objects until they " +
			"are answered, \"paced\" is Posthorn, \"sparse\" spreads them over all messages in small pieces.",
		Head: []string{"traffic", "way of rekeying", "post-quantum bytes per message", "messages per completed rekey"},
	}
	for _, p := range r.Paces {
		if p.Rekeys == 0 {
			s.Rows = append(s.Rows, []string{p.Scenario, p.Way, "not measured", "too few completed"})
			continue
		}
		s.Rows = append(s.Rows, []string{p.Scenario, p.Way, tenths(p.BytesPerMessage), tenths(p.MessagesPerRekey)})
		if p.Way == "paced" && p.Scenario == "alternation" {
			s.Finding = fmt.Sprintf("When two people answer each other text by text, Posthorn completes a rekey every %s messages, for %s bytes a message.", tenths(p.MessagesPerRekey), tenths(p.BytesPerMessage))
		}
	}
	if s.Finding == "" {
		s.Finding = "How often rekeys complete, and what they cost, depends on who writes when."
	}
	return s, len(s.Rows) > 0
}

// attempts is the table of active attacks: a row for each, a column for each
// level.
func attempts(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "active", Title: "Attackers who send",
		Explain: "Level 3 is PQ3 as published, which authenticates with ECDSA alone. Level 3A adds ML-DSA signatures to every session start and a tag " +
			"under the message's own key to every message.",
		Head: []string{"attack", "the attacker has"},
	}
	for _, a := range r.Attempts {
		if column := "against Level " + a.Level; !slices.Contains(s.Head, column) {
			s.Head = append(s.Head, column)
		}
	}
	won, tried := map[string]int{}, map[string]int{}
	rows := map[[2]string]int{}
	for _, a := range r.Attempts {
		key := [2]string{a.Scenario, a.Attack}
		if _, there := rows[key]; !there {
			rows[key] = len(s.Rows)
			s.Rows = append(s.Rows, append([]string{a.Attack, a.Needs}, make([]string, len(s.Head)-2)...))
		}
		cell := "fails; " + a.Outcome
		tried[a.Level]++
		if a.Succeeded {
			won[a.Level]++
			cell = "succeeds: " + a.Outcome
		}
		s.Rows[rows[key]][slices.Index(s.Head, "against Level "+a.Level)] = cell
	}
	var found []string
	for _, column := range s.Head[2:] {
		level := strings.TrimPrefix(column, "against Level ")
		l, _ := attacklab.LevelOf(level)
		found = append(found, fmt.Sprintf("%d of %d succeed against Level %s (%s)", won[level], tried[level], level, l.Name))
	}
	s.Finding = "Of these attacks, " + listed(found) + "."
	return s, len(s.Rows) > 0
}
