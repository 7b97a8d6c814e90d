package explorer

import "fmt"

// tally counts what the judges said.
type tally struct {
	letters   int // sent messages judged, over all states
	derivable int // whose plaintext the closure derives
	allowed   int // whose plaintext the analysis allows to be known
	thefts    int // states in which a thief decrypted with real bytes
	stolen    int // messages that he read
	talks     int // states from which a conversation was carried on
}

func (t *tally) add(o tally) {
	t.letters += o.letters
	t.derivable += o.derivable
	t.allowed += o.allowed
	t.thefts += o.thefts
	t.stolen += o.stolen
	t.talks += o.talks
}

// check judges one state.
func (l *lab) check(w *world, id digest, sum *tally) error {
	if err := l.agree(w); err != nil {
		return err
	}
	known := l.known(w)
	for _, p := range w.mail {
		sum.letters++
		derivable := p.seen() && known[p.messageKey()]
		allowed := l.mayBeKnown(w, p.letter)
		sum.derivable += int(bit(derivable))
		sum.allowed += int(bit(allowed && p.seen()))
		if derivable && !allowed {
			return fmt.Errorf("secrecy: the attacker reads %s, which nothing that leaked allows", p.letter)
		}
	}
	if id[0]%theftSample == 0 && len(known) > 0 {
		sum.thefts++
		n, err := l.theft(w, known)
		sum.stolen += n
		if err != nil {
			return err
		}
	}
	if id[1]%talkSample == 0 {
		sum.talks++
		return l.talk(w)
	}
	return nil
}

// How many states share one run of the costly judges.
const (
	theftSample = 32
	talkSample  = 64
)

// agree holds the two ends of each session against each other. I1: one epoch
// has one root key and one sender. I2: epochs differ by one at most.
func (l *lab) agree(w *world) error {
	for _, a := range l.devices() {
		for _, b := range l.peers(a) {
			if a > b {
				continue
			}
			if err := agreeOn(w.half(a, b), w.half(b, a)); err != nil {
				return err
			}
		}
	}
	return nil
}

func agreeOn(a, b *half) error {
	for i := range a.shades {
		for j := range b.shades {
			s, t := &a.shades[i], &b.shades[j]
			if s.session != t.session {
				continue
			}
			if d := int(s.now.number) - int(t.now.number); d < -1 || d > 1 {
				return fmt.Errorf("I2: %s is in epoch %d and %s in epoch %d", names[a.me], s.now.number, names[b.me], t.now.number)
			}
			if s.now.number == t.now.number && (s.now != t.now || s.sending == t.sending) {
				return fmt.Errorf("I1: %s and %s share an epoch and not its root key or roles", names[a.me], names[b.me])
			}
			if real := a.sessions[i]; real.Epoch() != s.now.number || real.Sending() != s.sending {
				return fmt.Errorf("%s is in epoch %d, SPEC §8 says %d", names[a.me], real.Epoch(), s.now.number)
			}
		}
	}
	return nil
}
