package level0

import (
	"crypto/ecdh"
	"time"

	"github.com/posthorn/posthorn/suite"
)

const level = "level0"

// Level0 is the suite.Suite of a cloud chat.
type Level0 struct{}

// Name is "level0".
func (Level0) Name() string { return level }

// Level is 0.
func (Level0) Level() int { return 0 }

// NewServer makes a server with a key of its own. Its greeting is the public
// half, as a certificate would give it.
func (Level0) NewServer(ent suite.Entropy, _ time.Time) (suite.Server, []byte, error) {
	key := newKey(ent)
	return &Server{key: key}, key.PublicKey().Bytes(), nil
}

// NewParty makes a device that knows the server's key.
func (Level0) NewParty(_ suite.Entropy, _ time.Time, name string, greeting []byte) (suite.Party, error) {
	if _, err := ecdh.X25519().NewPublicKey(greeting); err != nil {
		return nil, suite.Refuse(level, suite.ErrMalformed, "the greeting is no X25519 key")
	}
	return &Party{name: name, server: [32]byte(greeting)}, nil
}
