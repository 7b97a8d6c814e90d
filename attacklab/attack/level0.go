package attack

import (
	"github.com/posthorn/posthorn/suite/level0"
)

// level0Attack reads what the server stores, and breaks the connections to it.
func level0Attack(in Inputs) []Plaintext {
	found := claims{}
	if in.Server != nil {
		for _, kept := range in.Server.Messages {
			if s, err := level0.ParseStored(kept.Bytes); err == nil {
				found.add(kept.Number, s.Text, Stored)
			}
		}
	}
	if in.Recording != nil {
		t := &tap{in: in, connections: map[string]*connection{}}
		t.steal()
		for _, f := range in.Recording.Frames {
			t.listen(found, f.Number, f.From, f.Up, true)
			t.listen(found, f.Number, f.To, f.Down, false)
		}
	}
	return found.sorted()
}

// connection is a connection whose keys the attacker has.
type connection struct {
	level0.Connection
	via Via
}

// tap sits on the lines between devices and server.
type tap struct {
	in          Inputs
	connections map[string]*connection // by device; nil where it failed
}

// steal takes the keys of connections from seized devices.
func (t *tap) steal() {
	for _, seized := range t.in.Seized {
		if s, err := level0.ParseState(seized.State); err == nil {
			t.connections[s.Name] = &connection{s.Connection, StolenState}
		}
	}
}

// of finds the keys of a device's connection, by the oracle if need be.
func (t *tap) of(device string) *connection {
	c, tried := t.connections[device]
	if tried || t.in.Quantum == nil {
		return c
	}
	t.connections[device] = nil
	client, server := t.publics(device)
	if client == nil || server == nil {
		return nil
	}
	private, err := t.in.Quantum.X25519(client)
	if err != nil {
		return nil
	}
	if keys, err := level0.Derive(private, client, server); err == nil {
		t.connections[device] = &connection{*keys, Derived}
	}
	return t.connections[device]
}

// publics are the two public keys of a connection: the device's, which it
// publishes as its record, and the server's, which is its greeting.
func (t *tap) publics(device string) (client, server []byte) {
	for _, c := range t.in.Recording.Crossings {
		switch {
		case c.Kind == "record" && c.From == device:
			client = c.Bytes
		case c.Kind == "greeting":
			server = c.Bytes
		}
	}
	return client, server
}

func (t *tap) listen(found claims, frame int, device string, wire []byte, up bool) {
	c := t.of(device)
	m, err := level0.ParseMessage(wire)
	if c == nil || err != nil {
		return
	}
	keys := &c.Down
	if up {
		keys = &c.Up
	}
	plain, err := keys.Open(m.Number, m.Ciphertext, nil)
	if err != nil {
		return
	}
	if _, text, err := level0.Content(plain); err == nil {
		found.add(frame, text, c.via)
	}
}
