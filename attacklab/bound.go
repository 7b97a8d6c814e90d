package attacklab

import (
	"github.com/posthorn/posthorn/attacklab/attack"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/pq3"
)

// Bound is how many texts a seized state and a quantum computer may read at
// Level 3 by the healing contract (SPEC §8.4), where a conversation goes on
// without absences or losses: the rest of a chain whose KEM key is in the
// state, up to EveryMessages and the chain that is then under way, and the
// chain that advertises the next key. ok is false where time and not the count
// of messages decides.
func Bound(run *simulation.Run) (texts int, ok bool) {
	s := run.Scenario
	if len(s.Away) > 0 || len(s.Devices) > 2 || s.Network.Loss > 0 || s.Network.Reorder > 0 {
		return 0, false
	}
	longest := max(s.Turns[0].High, s.Turns[1].High)
	return pq3.DefaultPolicy().EveryMessages + 3*longest, true
}

// Claims are what an attacker says that the frames of a run contain.
func Claims(run *simulation.Run, a scenario.Attack, moments []Moment) []attack.Plaintext {
	in, _ := Equip(run, a, moments)
	return attack.On(run.Suite.Name())(in)
}
