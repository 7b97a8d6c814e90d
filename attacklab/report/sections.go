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
// that shows it, and the figures behind the chart.
type Section struct {
	ID, Title string
	Finding   string
	Explain   string
	SVG       []byte
	Head      []string
	Rows      [][]string
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

// seizures is the share of the conversation that a thief reads, by the moment
// of the theft.
func seizures(r *attacklab.Results) (Section, bool) {
	if len(r.Sweep) == 0 {
		return Section{}, false
	}
	s := Section{
		ID: "seizure", Title: "A device is seized, and a quantum computer comes later",
		Explain: "The attacker recorded everything, copied Bob's device once, at the moment on the horizontal axis, and has a quantum computer " +
			"later. The line is the share of the whole conversation that it reads.",
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
	s.Finding = "The most of the conversation that one stolen device is worth, whenever it is stolen: " + shares(panels, worst) + "."
	s.SVG = chart.Multiples(chart.Head{ID: s.ID, Title: s.Title, About: s.Finding}, "seized before this text", float64(most), panels)
	return s, true
}

// shares names each share once, with the levels that follow each other and have
// it: "100 % at Levels 0 and 1, 14 % at Level 3".
func shares(panels []chart.Panel, share map[string]float64) string {
	var words []string
	for len(panels) > 0 {
		word := fmt.Sprintf("%.0f\u00a0%%", share[panels[0].Series])
		var levels []string
		for len(panels) > 0 && fmt.Sprintf("%.0f\u00a0%%", share[panels[0].Series]) == word {
			levels, panels = append(levels, panels[0].Series), panels[1:]
		}
		kind := "Level "
		if len(levels) > 1 {
			kind = "Levels "
		}
		words = append(words, word+" at "+kind+listed(levels))
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
			Seized: []int{x.Seized[0].Message}, Value: percent(x.Read, x.Texts) + "\u00a0% read"})
		s.Rows = append(s.Rows, []string{x.Level, strconv.Itoa(x.Texts), strconv.Itoa(x.Read), strconv.Itoa(x.Opening), strconv.Itoa(x.Window), yesNo(x.Healed)})
		if x.Level == "3A" {
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
	s.SVG = chart.Strips(chart.Head{ID: s.ID, Title: s.Title + ", " + scenario, About: s.Finding}, rows)
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
			"the protocol wants new post-quantum keys. Worst of many moments of seizure. Posthorn's default is 50, and an application can only choose less.",
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
		s.Rows = append(s.Rows, []string{h.Scenario, strconv.Itoa(h.Interval), strconv.Itoa(h.Moments), tenths(h.Mean), strconv.Itoa(h.Worst), strconv.Itoa(h.Bound)})
		if h.Worst > h.Bound {
			above++
		}
	}
	if len(curves) == 0 {
		return Section{}, false
	}
	s.Finding = fmt.Sprintf("In %d of %d measurements the window stays within what Posthorn's own rules allow; the sooner new keys are due, the sooner a stolen device is of no use.", len(s.Rows)-above, len(s.Rows))
	s.SVG = chart.Curves(chart.Head{ID: s.ID, Title: s.Title, About: s.Finding}, chart.Axes{X: "new keys after so many messages", Y: "texts readable after the seizure, worst case"}, curves)
	return s, true
}

// tradeOff is bytes against healing.
func tradeOff(r *attacklab.Results) (Section, bool) {
	s := Section{
		ID: "trade-off", Title: "What healing costs",
		Explain: "Bytes of post-quantum keys and ciphertexts for each message, against the mean number of texts that a seized device and a quantum " +
			"computer read afterwards. \"Paced\" is Posthorn: it sends a new key on some messages only; \"every message\" repeats it until it is " +
			"answered; \"sparse\" is always sending a small piece. Numbers beside the points are the messages after which new keys are due. Further " +
			"left and further down is better.",
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
	s.SVG = chart.Curves(chart.Head{ID: s.ID, Title: s.Title + ", bursts of ten", About: s.Finding}, chart.Axes{X: "post-quantum bytes per message", Y: "texts readable after a seizure, mean"}, curves)
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
