package pq3_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestVectorsNewStates writes the folder of stored states where there is none,
// with -update. It never touches one that exists: a new version of the format
// gets a new folder.
func TestVectorsNewStates(t *testing.T) {
	if _, err := os.Stat(statesFolder); err == nil {
		return
	}
	if !*update {
		t.Fatal("the stored states are gone; restore them from version control, do not make new ones")
	}
	if err := os.MkdirAll(statesFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &stateMaker{t: t, index: stateIndex{Parties: map[string]coreParty{}}, shapes: map[string]int{}}
	for _, m.suite = range bothSuites {
		m.everyShape()
		m.overtaken()
		m.crossing()
	}
	m.write("fixtures.json", append(given(json.MarshalIndent(m.index, "", " ")), '\n'))
}

type stateMaker struct {
	t      *testing.T
	index  stateIndex
	suite  account.Suite
	shapes map[string]int
	count  int
}

func (m *stateMaker) write(name string, content []byte) {
	if err := os.WriteFile(filepath.Join(statesFolder, name), content, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// begin is a new conversation.
func (m *stateMaker) begin() *pair {
	core := coreMaker{t: m.t, coreFile: coreFile{Parties: m.index.Parties}, suite: m.suite}
	core.parties()
	delete(m.index.Parties, core.name("carol"))
	delete(m.index.Parties, core.name("alice with bob's keys"))
	return newPair(m.t, pq3.Policy{}, m.suite)
}

// keep stores both ends as they are.
func (m *stateMaker) keep(p *pair, onTheWay ...stateLetter) {
	m.count++
	moment := stateMoment{Name: fmt.Sprintf("%02d-%s", m.count, m.suite), Suite: m.suite.String(), At: uint64(p.now.UnixMilli()), OnTheWay: onTheWay}
	for name, end := range map[string]*pq3test.Endpoint{"alice": p.alice, "bob": p.bob} {
		s := end.Sessions.Sending()
		if s == nil {
			for _, k := range end.Prekeys {
				m.write(moment.Name+"-prekey.bin", k.Marshal())
			}
			continue
		}
		m.shapes[shapeOf(s.MarshalState(), s.MarshalSkipped())]++
		m.write(moment.Name+"-"+name+".bin", s.MarshalState())
		if skipped := s.MarshalSkipped(); skipped != nil {
			m.write(moment.Name+"-"+name+".skipped.bin", skipped)
		}
	}
	m.index.Moments = append(m.index.Moments, moment)
}

// novel reports whether an end has a shape that is not kept yet.
func (m *stateMaker) novel(p *pair) bool {
	for _, end := range []*pq3test.Endpoint{p.alice, p.bob} {
		s := end.Sessions.Sending()
		if m.shapes[shapeOf(s.MarshalState(), s.MarshalSkipped())] == 0 {
			return true
		}
	}
	return false
}

// everyShape advertises in such an order that every three epochs in a row
// come with every choice, at both ends, and keeps what is new.
func (m *stateMaker) everyShape() {
	p := m.begin()
	start := p.seal(p.alice, "start")
	m.keep(p, stateLetter{"bob", "start", start})
	p.deliver(p.bob, start)
	m.keep(p)
	for i, choice := range "1" + "0001011100" + "0" + "0001011100" {
		from := []*pq3test.Endpoint{p.bob, p.alice}[i%2]
		force := pq3.Force(0)
		if choice == '1' {
			force = pq3.ForceAdvertise
		}
		p.now = p.now.Add(1e9)
		p.deliver(p.peer(from), given(from.Send(p.peer(from), p.now, "text", force)))
		if m.novel(p) {
			m.keep(p)
		}
	}
}

// overtaken: more keys than a block holds, of two epochs, wait for messages
// that are lost or still on their way.
func (m *stateMaker) overtaken() {
	p := m.begin()
	p.talk(1)
	late := []stateLetter{{"bob", "late 1", p.seal(p.alice, "late 1")}}
	p.say(p.alice, 1)
	for i := range 2 {
		text := fmt.Sprint("late ", i+2)
		late = append(late, stateLetter{"bob", text, p.seal(p.alice, text)})
	}
	for range 40 {
		p.seal(p.alice, "lost")
	}
	p.say(p.alice, 1)
	m.keep(p, late...)
	p.say(p.bob, 1)
	late = append(late, stateLetter{"bob", "late 4", p.seal(p.alice, "late 4")})
	p.say(p.alice, 1)
	m.keep(p, late...)
}

// crossing: Alice still sends on her epoch while Bob has opened the next.
func (m *stateMaker) crossing() {
	p := m.begin()
	p.talk(2)
	p.say(p.alice, 1)
	fromBob := p.seal(p.bob, "crosses")
	fromAlice := p.seal(p.alice, "crosses too")
	m.keep(p, stateLetter{"alice", "crosses", fromBob}, stateLetter{"bob", "crosses too", fromAlice})
}
