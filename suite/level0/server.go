package level0

import (
	"bytes"
	"crypto/ecdh"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Server reads and stores every text: a suite.Server. It is immutable.
type Server struct {
	key     *ecdh.PrivateKey
	clients []client // in the order in which they connected
}

type client struct {
	name       string
	record     []byte
	connection Connection
	sent       uint64
	received   received
}

// Format shows nothing of a server: its keys are in unexported fields.
func (s Server) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Register accepts a device's connection. A name belongs to the device that
// came first.
func (s *Server) Register(_ time.Time, owner string, record []byte) (suite.Server, error) {
	if i := s.find(owner); i >= 0 {
		if !bytes.Equal(s.clients[i].record, record) {
			return nil, suite.Refuse(level, suite.ErrSignature, "the name is taken")
		}
		return s, nil
	}
	connection, err := Derive(s.key.Bytes(), record, s.key.PublicKey().Bytes())
	if err != nil {
		return nil, &suite.Error{Level: level, Err: suite.ErrMalformed, Detail: "not a client's key", Cause: err}
	}
	next := *s
	next.clients = append(slices.Clone(s.clients), client{name: owner, record: bytes.Clone(record), connection: *connection})
	return &next, nil
}

func (s *Server) find(name string) int {
	return slices.IndexFunc(s.clients, func(c client) bool { return c.name == name })
}

// HandOut says that somebody of that name exists.
func (s *Server) HandOut(owner string) (suite.Server, []byte, error) {
	if s.find(owner) < 0 {
		return nil, nil, suite.Refuse(level, suite.ErrPeer, "nobody of the name "+owner)
	}
	return s, content(owner, nil), nil
}

// Relay decrypts a message, stores its text as it is (a Stored), and encrypts
// it for the receiver.
func (s *Server) Relay(_ suite.Entropy, now time.Time, from, to string, wire []byte) (next suite.Server, kept, delivered []byte, err error) {
	i, j := s.find(from), s.find(to)
	if i < 0 || j < 0 {
		return nil, nil, nil, suite.Refuse(level, suite.ErrPeer, "sender or receiver is not connected")
	}
	after, name, text, err := s.clients[i].received.open(&s.clients[i].connection.Up, wire)
	if err != nil {
		return nil, nil, nil, err
	}
	if name != to {
		return nil, nil, nil, suite.Refuse(level, suite.ErrUndecryptable, "the message is for somebody else")
	}
	changed := *s
	changed.clients = slices.Clone(s.clients)
	changed.clients[i].received = after
	receiver := &changed.clients[j]
	down := Message{Number: receiver.sent, Ciphertext: receiver.connection.Down.Seal(receiver.sent, content(from, text), nil)}
	receiver.sent++
	stored := Stored{At: uint64(max(0, now.UnixMilli())), From: from, To: to, Text: text}
	return &changed, stored.Marshal(), down.Marshal(), nil
}
