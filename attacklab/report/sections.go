package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/chart"
)

// Section is a part of the page: what was found, in one sentence, the chart
// that shows it, once for a wide screen and once for a telephone, and the
// figures behind the chart.
type Section struct {
	ID, Title   string
	Finding     string
	Explain     string
	SVG, Narrow []byte
	Head        []string
	Rows        [][]string
}

// draw makes both charts of a section. more follows the title.
func (s *Section) draw(more string, chartOf func(chart.Head) []byte) {
	h := chart.Head{ID: s.ID, Title: s.Title + more, About: s.Finding}
	s.SVG = chartOf(h)
	h.ID, h.Narrow = s.ID+"-narrow", true
	s.Narrow = chartOf(h)
}

// sections leaves out what the run has no figures for.
func sections(r *attacklab.Results) (all []Section) {
	for _, make := range []func(*attacklab.Results) (Section, bool){
		seizures, strips, healing, tradeOff, weight, paces, attempts,
	} {
		if s, ok := make(r); ok {
			all = append(all, s)
		}
	}
	return all
}

func levelLabel(key string) string {
	if l, ok := attacklab.LevelOf(key); ok {
		return "Level " + key + ": " + l.Name
	}
	return key
}

// sparseNote keeps a level of ours from being taken for somebody's product.
const sparseNote = "\"3-sparse\" is our own, simpler relative of Signal's SPQR. It sends whole keys in small pieces and heals later than SPQR does, so that " +
	"a conversation of a few hundred texts may end before it has healed."

// seizures is the share of the conversation that a thief reads, by the moment
// of the theft.
func seizures(r *attacklab.Results) (Section, bool) {
	if len(r.Sweep) == 0 {
		return Section{}, false
	}
	s := Section{
		ID: "seizure", Title: "A device is seized, and a quantum computer comes later",
		Explain: "The attacker recorded everything, copied Bob's device once, at the moment on the horizontal axis, and has a quantum computer " +
			"later. The strong line is the share of the whole conversation that it reads; the faint lines are the other levels. " + sparseNote,
		Head: []string{"level", "seized before text", "read by the thief alone", "read with a quantum computer"},
	}
	var panels []chart.Panel
	most, worst := 1, map[string]float64{}
	for _, p := range r.Sweep {
		i := slices.IndexFunc(panels, func(q chart.Panel) bool { return q.Series == p.Level })
		if i < 0 {
			panels, i = append(panels, chart.Panel{Series: p.Level, Label: levelLabel(p.Level)}), len(panels)
		}
		share := 100 * float64(p.Quantum) / float64(p.Texts)
		panels[i].Points = append(panels[i].Points, [2]float64{float64(p.Message), share})
		most, worst[p.Level] = max(most, p.Message), max(worst[p.Level], share)
		s.Rows = append(s.Rows, []string{p.Level, strconv.Itoa(p.Message), percent(p.Thief, p.Texts) + "\u00a0%", percent(p.Quantum, p.Texts) + "\u00a0%"})
	}
	s.Finding = "The most that one stolen device gives away of the whole conversation, whenever it is stolen: " + shares(panels, func(p chart.Panel) (level, share string) {
		return p.Series, fmt.Sprintf("%.0f\u00a0%%", worst[p.Series])
	}) + "."
	s.draw("", func(h chart.Head) []byte { return chart.Multiples(h, "seized before this text", float64(most), panels) })
	return s, true
}

// shares names each share once, with the levels that follow each other and have
// it: "100 % at Levels 0 and 1, 14 % at Level 3".
func shares[T any](all []T, of func(T) (level, share string)) string {
	var words []string
	for len(all) > 0 {
		_, share := of(all[0])
		var levels []string
		for len(all) > 0 {
			level, next := of(all[0])
			if next != share {
				break
			}
			levels, all = append(levels, level), all[1:]
		}
		words = append(words, share+" at Level"+strings.Repeat("s", min(1, len(levels)-1))+" "+listed(levels))
	}
	return strings.Join(words, ", ")
}

// listed is "a", "a and b" or "a, b and c".
func listed(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// counted is a number with its noun, in the plural unless it is one.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// strips shows, text by text, what one thief with a quantum computer reads.
func strips(r *attacklab.Results) (Section, bool) {
	const attacker = "recording + seize bob at random + quantum"
	s := Section{
		ID: "strips", Title: "Text by text: what the thief reads",
		Explain: "One bar for each level, from the first text to the last. Coloured parts were read by an attacker who recorded everything, seized " +
			"Bob's device at the line, and has a quantum computer later. From Level 3 on, what is coloured far before the line is the opening of the " +
			"conversation: Bob's device still held the prekey that it began with.",
		Head: []string{"level", "texts", "read", "of these the opening", "read after the seizure", "heals"},
	}
	var rows []chart.Row
	scenario := ""
	for _, x := range r.Readings {
		if x.Attacker != attacker || scenario != "" && x.Scenario != scenario {
			continue
		}
		scenario = x.Scenario
		rows = append(rows, chart.Row{Series: x.Level, Label: "Level " + x.Level, Strip: x.Strip,
			Seized: []int{x.Seized[0].Message}, Value: Share(x) + " read"})
		s.Rows = append(s.Rows, []string{x.Level, strconv.Itoa(x.Texts), strconv.Itoa(x.Read), strconv.Itoa(x.Opening), strconv.Itoa(x.Window), yesNo(x.Healed)})
		if x.Level == "3A" {
			s.Explain += fmt.Sprintf(" At Level 3A that is %s.", counted(x.Opening, "text"))
			s.Finding = fmt.Sprintf("At Level 3A the stolen device is of use for %s, and then never again.", counted(x.Window, "more text"))
			if !x.Healed {
				s.Finding = "At Level 3A the stolen device is of use to the end of this conversation, which is too short to heal."
			}
		}
	}
	if len(rows) == 0 {
		return Section{}, false
	}
	if s.Finding == "" {
		s.Finding = "What the same thief at the same moment reads depends on the level alone."
	}
	s.draw(", "+scenario, func(h chart.Head) []byte { return chart.Strips(h, rows) })
	return s, true
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// healing is the window against the rekey interval.
func healing(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "healing", Title: "How soon a stolen device stops being of use",
		Explain: "How many texts after a seizure an attacker with a quantum computer can read at Level 3A, against the number of messages after which " +
			"the protocol wants new post-quantum keys. Worst of many moments of seizure. The faint line of the same pattern is the most that Posthorn's " +
			"rules allow in that traffic. Posthorn's default is 50, and an application can only choose less.",
		Head: []string{"traffic", "new keys after messages", "moments", "window, mean", "window, worst", "the rules allow"},
	}
	var curves []chart.Curve
	above := 0
	for _, h := range r.Healing {
		if h.Way != "paced" {
			continue
		}
		i := slices.IndexFunc(curves, func(c chart.Curve) bool { return c.Label == h.Scenario })
		if i < 0 {
			curves, i = append(curves, chart.Curve{Series: []string{"paced", "2"}[min(1, len(curves))], Label: h.Scenario}), len(curves)
		}
		curves[i].Points = append(curves[i].Points, [2]float64{float64(h.Interval), float64(h.Worst)})
		curves[i].Limit = append(curves[i].Limit, [2]float64{float64(h.Interval), float64(h.Bound)})
		s.Rows = append(s.Rows, []string{h.Scenario, strconv.Itoa(h.Interval), strconv.Itoa(h.Moments), tenths(h.Mean), strconv.Itoa(h.Worst), strconv.Itoa(h.Bound)})
		if h.Worst > h.Bound {
			above++
		}
	}
	if len(curves) == 0 {
		return Section{}, false
	}
	s.Finding = fmt.Sprintf("In %d of %d measurements the window stays within what Posthorn's own rules allow; the sooner new keys are due, the sooner a stolen device is of no use.", len(s.Rows)-above, len(s.Rows))
	axes := chart.Axes{X: "new keys after so many messages", Y: "texts readable after the seizure, worst case"}
	s.draw("", func(h chart.Head) []byte { return chart.Curves(h, axes, curves) })
	return s, true
}

// tradeOff is bytes against healing.
func tradeOff(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "trade-off", Title: "What healing costs",
		Explain: "Bytes of post-quantum keys and ciphertexts for each message, against the mean number of texts that a seized device and a quantum " +
			"computer read afterwards. \"Paced\" is Posthorn: it sends a new key on some messages only; \"every message\" repeats it until it is " +
			"answered; \"sparse\" is always sending a small piece. Numbers beside the points are the messages after which new keys are due. Further " +
			"left and further down is better. Measured in a conversation from its first text on; the longer ones of the next table leave the beginning out, " +
			"so that their figures differ a little.",
		Head: []string{"traffic", "way of rekeying", "new keys after messages", "bytes per message", "window, mean"},
	}
	var curves []chart.Curve
	for _, h := range r.Healing {
		s.Rows = append(s.Rows, []string{h.Scenario, h.Way, interval(h), tenths(h.Bytes), tenths(h.Mean)})
		if h.Scenario != "bursts-10" {
			continue
		}
		i := slices.IndexFunc(curves, func(c chart.Curve) bool { return c.Series == h.Way })
		if i < 0 {
			curves, i = append(curves, chart.Curve{Series: h.Way, Label: h.Way}), len(curves)
		}
		curves[i].Points = append(curves[i].Points, [2]float64{float64(h.Bytes) / 10, float64(h.Mean) / 10})
		if h.Way == "paced" {
			curves[i].Names = append(curves[i].Names, strconv.Itoa(h.Interval))
		}
	}
	if len(curves) == 0 {
		return Section{}, false
	}
	s.Finding = trade(r)
	axes := chart.Axes{X: "post-quantum bytes per message", Y: "texts readable after a seizure, mean"}
	s.draw(", bursts of ten", func(h chart.Head) []byte { return chart.Curves(h, axes, curves) })
	return s, true
}

func interval(h attacklab.Healing) string {
	if h.Interval == 0 {
		return "always on its way"
	}
	return strconv.Itoa(h.Interval)
}

// trade compares the paced way with that of every message, in bursts of ten.
func trade(r *attacklab.Results) string {
	at := func(way string) (found attacklab.Healing) {
		for _, h := range r.Healing {
			if h.Scenario == "bursts-10" && h.Way == way && (h.Interval == 50 || h.Interval == 0) {
				found = h
			}
		}
		return found
	}
	paced, every := at("paced"), at("every message")
	if paced.Bytes == 0 || every.Bytes == 0 {
		return "Rekeying more often costs bytes and shortens the window."
	}
	heals := "heals as soon"
	if paced.Mean != every.Mean {
		heals = fmt.Sprintf("heals after %s texts on average instead of %s", tenths(paced.Mean), tenths(every.Mean))
	}
	return fmt.Sprintf("In bursts of ten, sending new keys at a pace takes %s bytes a message where sending them on every message takes %s, and %s.",
		tenths(paced.Bytes), tenths(every.Bytes), heals)
}
