package report

import (
	"fmt"
	"strconv"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/chart"
)

// weight is bytes per text at each level.
func weight(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "bytes", Title: "What a text weighs on the wire",
		Explain: "Bytes for each text in the scenario of strict alternation, by what they are for. Levels 0 to 2 do not pad texts, sign no messages and " +
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
	s.SVG = chart.Bars(chart.Head{ID: s.ID, Title: s.Title, About: s.Finding}, []string{"ciphertext", "signatures, tags", "headers", "session start", "rekeys"}, bars)
	return s, true
}

// paces is the table of rekey costs.
func paces(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "paces", Title: "Rekeys in four kinds of traffic",
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

// attempts is the table of active attacks.
func attempts(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "active", Title: "Attackers who send",
		Explain: "Level 3 is PQ3 as published, which authenticates with ECDSA alone. Level 3A adds ML-DSA signatures to every session start and a tag " +
			"under the message's own key to every message.",
		Head: []string{"attack", "the attacker has", "level", "succeeds", "what happened"},
	}
	won := map[string]int{}
	for _, a := range r.Attempts {
		s.Rows = append(s.Rows, []string{a.Attack, a.Needs, a.Level, yesNo(a.Succeeded), a.Outcome})
		if a.Succeeded {
			won[a.Level]++
		}
	}
	s.Finding = fmt.Sprintf("Of these attacks %d succeed against PQ3 as published, and %d against Level 3A.", won["3"], won["3A"])
	return s, len(s.Rows) > 0
}
