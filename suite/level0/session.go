package level0

import (
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Party is one device: a suite.Party. It is immutable and safe for concurrent
// reading.
type Party struct {
	name       string
	server     [32]byte
	record     []byte // the client's public key; nil until connected
	connection Connection
	sent       uint64
	received   received
	peers      []string
}

// Format shows nothing of a device: its keys are in unexported fields.
func (p Party) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Name is what the server calls this device.
func (p *Party) Name() string { return p.name }

// Publish connects to the server. The record is the client's fresh public key,
// from which the server derives the keys of the connection. Called again it
// changes nothing: there are no prekeys to renew.
func (p *Party) Publish(ent suite.Entropy, _ time.Time) (suite.Party, []byte, error) {
	if p.record != nil {
		return p, p.record, nil
	}
	key := newKey(ent)
	next := *p
	next.record = key.PublicKey().Bytes()
	connection, err := Derive(key.Bytes(), next.record, p.server[:])
	if err != nil {
		return nil, nil, &suite.Error{Level: level, Err: suite.ErrMalformed, Detail: "the server's key is not usable", Cause: err}
	}
	next.connection = *connection
	return &next, next.record, nil
}

// Meet notes a name that the server knows.
func (p *Party) Meet(_ time.Time, bundle []byte) (suite.Party, error) {
	name, rest, err := Content(bundle)
	if err != nil || len(rest) > 0 {
		return nil, suite.Refuse(level, suite.ErrMalformed, "not a name")
	}
	if slices.Contains(p.peers, name) {
		return p, nil
	}
	next := *p
	next.peers = append(slices.Clone(p.peers), name)
	return &next, nil
}

// Seal encrypts for the server.
func (p *Party) Seal(_ suite.Entropy, _ time.Time, to string, plaintext []byte) (suite.Party, []byte, error) {
	if p.record == nil || !slices.Contains(p.peers, to) {
		return nil, nil, suite.Refuse(level, suite.ErrPeer, "not connected, or never met "+to)
	}
	if len(plaintext) > MaxText {
		return nil, nil, suite.Refuse(level, suite.ErrLimit, "a text has at most 64 KiB")
	}
	m := Message{Number: p.sent, Ciphertext: p.connection.Up.Seal(p.sent, content(to, plaintext), nil)}
	next := *p
	next.sent++
	return &next, m.Marshal(), nil
}

// Open decrypts what the server sent.
func (p *Party) Open(_ time.Time, from string, wire []byte) (suite.Party, []byte, error) {
	if p.record == nil || !slices.Contains(p.peers, from) {
		return nil, nil, suite.Refuse(level, suite.ErrPeer, "not connected, or never met "+from)
	}
	after, sender, text, err := p.received.open(&p.connection.Down, wire)
	if err != nil {
		return nil, nil, err
	}
	if sender != from {
		return nil, nil, suite.Refuse(level, suite.ErrUndecryptable, "the server names another sender")
	}
	next := *p
	next.received = after
	return &next, text, nil
}

// Rekeys is 0.
func (p *Party) Rekeys(string) int { return 0 }

// open decrypts a record of one direction and notes its number.
func (r received) open(keys *Keys, wire []byte) (after received, name string, text []byte, err error) {
	m, err := ParseMessage(wire)
	if err != nil {
		return r, "", nil, err
	}
	if after, err = r.with(m.Number); err != nil {
		return r, "", nil, err
	}
	plaintext, err := keys.Open(m.Number, m.Ciphertext, nil)
	if err != nil {
		return r, "", nil, err
	}
	name, text, err = Content(plaintext)
	return after, name, text, err
}

func content(name string, text []byte) []byte {
	return append(codec.AppendV16(nil, []byte(name)), text...)
}
