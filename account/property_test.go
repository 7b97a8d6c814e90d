package account

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model follows a roster as plain lists.
type model struct {
	roster   *Roster
	on       []actor
	recovery *SigningKey
	pool     []actor // devices that were never added
}

// Random legal statements replay to the same roster, and after each one every
// illegal variation is refused and leaves the roster as it was.
func TestRosterProperties(t *testing.T) {
	var pool []actor
	for i := range 12 {
		pool = append(pool, newActor(fmt.Sprintf("pool %d", i)))
	}
	rapid.Check(t, func(t *rapid.T) {
		first := pool[0]
		m := &model{on: []actor{first}, pool: slices.Clone(pool[1:])}
		m.roster = must(StartRoster(must(NewAccount(first.Device, first.key, 1, nil))))
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			m.step(t)
		}
		replayed, err := ReplayRoster(m.roster.Statements())
		if err != nil || !sameRoster(replayed, m.roster) {
			t.Fatalf("the statements replay to another roster: %v", err)
		}
		m.refuseVariations(t)
	})
}

// step draws a legal statement, applies it and compares with the model.
func (m *model) step(t *rapid.T) {
	signer := rapid.SampledFrom(m.on).Draw(t, "signer")
	author := signer.author()
	var ops []Operation
	var added []*SigningKey
	switch kind := rapid.SampledFrom([]string{"add", "remove", "rename", "recovery"}).Draw(t, "kind"); {
	case kind == "add" && len(m.pool) > 0:
		d := m.take()
		ops, added = []Operation{AddDevice{d.Device}}, []*SigningKey{d.key}
		m.on = append(m.on, d)
	case kind == "remove" && len(m.on) > 1:
		i := rapid.IntRange(0, len(m.on)-1).Draw(t, "removed")
		ops = []Operation{RemoveDevice{m.on[i].ID}}
		m.on = slices.Delete(slices.Clone(m.on), i, i+1)
	case kind == "recovery" && len(m.pool) > 0:
		fresh := m.take().key
		ops = []Operation{SetRecovery{fresh.Public()}}
		if m.recovery != nil {
			author, ops = Author{Key: m.recovery}, []Operation{ReplaceRecovery{fresh.Public()}}
		}
		m.recovery = fresh
	default:
		ops = []Operation{RenameDevice{signer.ID, rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "name")}}
	}
	s, err := m.roster.Propose(author, added, 1, nil, ops...)
	if err != nil {
		t.Fatalf("a legal statement was refused: %v", err)
	}
	m.roster = must(m.roster.Apply(must(ParseStatement(s.Marshal()))))
	m.compare(t)
}

func (m *model) take() actor {
	d := m.pool[0]
	m.pool = m.pool[1:]
	return d
}

func (m *model) compare(t *rapid.T) {
	if len(m.roster.Devices()) != len(m.on) || (m.roster.Recovery() == nil) != (m.recovery == nil) {
		t.Fatal("roster and model differ")
	}
	for _, a := range m.on {
		if d, ok := m.roster.Device(a.ID); !ok || !d.Key.Equal(a.Key) {
			t.Fatal("a device of the model is missing")
		}
	}
}

// refuseVariations bends one legal statement in each way there is.
func (m *model) refuseVariations(t *rapid.T) {
	before := *m.roster
	signer := m.on[0]
	mallory := newActor("mallory")
	legal := func() *Statement {
		return must(m.roster.draft(signer.author(), 2, []Operation{RenameDevice{signer.ID, []byte("x")}}))
	}
	sign := func(s *Statement, key *SigningKey) *Statement { return must(s.sign(key, nil, nil)) }
	bend := func(change func(*Statement)) *Statement { s := legal(); change(s); return sign(s, signer.key) }
	bent := map[string]*Statement{
		"account":   bend(func(s *Statement) { s.account[1] ^= 1 }),
		"number":    bend(func(s *Statement) { s.seq += 2 }),
		"prev":      bend(func(s *Statement) { s.prev[1] ^= 1 }),
		"signer":    bend(func(s *Statement) { s.device[1] ^= 1 }),
		"kind":      bend(func(s *Statement) { s.kind = signedByRecovery }),
		"key":       sign(legal(), mallory.key),
		"stranger":  bend(func(s *Statement) { s.ops = []Operation{RemoveDevice{mallory.ID}} }),
		"ghost":     bend(func(s *Statement) { s.ops = []Operation{AddDevice{mallory.Device}} }),
		"again":     bend(func(s *Statement) { s.ops = []Operation{AddDevice{signer.Device}} }),
		"clear":     bend(func(s *Statement) { s.ops = []Operation{ClearRecovery{}} }),
		"replace":   bend(func(s *Statement) { s.ops = []Operation{ReplaceRecovery{mallory.Key}} }),
		"last ones": bend(func(s *Statement) { s.ops = m.removeAll() }),
		"repeated":  must(ParseStatement(before.statements[before.seq])),
	}
	bitflip := sign(legal(), signer.key).Marshal()
	bitflip[rapid.IntRange(0, len(bitflip)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	if s, err := ParseStatement(bitflip); err == nil {
		bent["bit flip"] = s
	}
	for name, s := range bent {
		next, err := m.roster.Apply(s)
		var refusal *Error
		if next != nil || !errors.As(err, &refusal) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if !sameRoster(&before, m.roster) || !bytes.Equal(before.head[:], m.roster.head[:]) {
		t.Fatal("a refused statement changed the roster")
	}
}

func (m *model) removeAll() (ops []Operation) {
	for _, a := range m.on {
		ops = append(ops, RemoveDevice{a.ID})
	}
	return ops
}
