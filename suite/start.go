package suite

import "time"

// Start is the beginning of a conversation: everybody enrolled, everybody met.
// No session exists yet; it starts with the first message.
type Start struct {
	Server    Server
	Parties   []Party // in the order of the names
	Crossings []Crossing
}

// Crossing is something other than a message that crossed a wire, in the order
// in which it did. An eavesdropper has it.
type Crossing struct {
	From, To string // a party's name, or "server"
	Kind     string // "greeting", "record" or "bundle"
	Bytes    []byte
}

// The kinds of crossings.
const (
	Greeting = "greeting" // what the server says to a device that connects
	Record   = "record"   // what a device publishes
	Bundle   = "bundle"   // what the server hands out of it
)

// ServerName is the server's name in a Crossing.
const ServerName = "server"

// Begin enrols one device for each name and lets every two of them meet.
func Begin(s Suite, ent Entropy, now time.Time, names ...string) (*Start, error) {
	server, greeting, err := s.NewServer(ent, now)
	if err != nil {
		return nil, err
	}
	begun := &Start{Server: server}
	for _, name := range names {
		if err := begun.enrol(s, ent, now, name, greeting); err != nil {
			return nil, err
		}
	}
	for i := range begun.Parties {
		for j := range begun.Parties {
			if i == j {
				continue
			}
			if err := begun.meet(now, i, names[j]); err != nil {
				return nil, err
			}
		}
	}
	return begun, nil
}

func (b *Start) enrol(s Suite, ent Entropy, now time.Time, name string, greeting []byte) error {
	party, err := s.NewParty(ent, now, name, greeting)
	if err != nil {
		return err
	}
	party, record, err := party.Publish(ent, now)
	if err != nil {
		return err
	}
	if b.Server, err = b.Server.Register(now, name, record); err != nil {
		return err
	}
	b.Parties = append(b.Parties, party)
	b.cross(ServerName, name, Greeting, greeting)
	b.cross(name, ServerName, Record, record)
	return nil
}

func (b *Start) meet(now time.Time, i int, peer string) (err error) {
	server, bundle, err := b.Server.HandOut(peer)
	if err != nil {
		return err
	}
	party, err := b.Parties[i].Meet(now, bundle)
	if err != nil {
		return err
	}
	b.Server, b.Parties[i] = server, party
	b.cross(ServerName, party.Name(), Bundle, bundle)
	return nil
}

func (b *Start) cross(from, to, kind string, bytes []byte) {
	b.Crossings = append(b.Crossings, Crossing{From: from, To: to, Kind: kind, Bytes: bytes})
}
