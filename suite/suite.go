package suite

import (
	"crypto"
	"io"
	"time"
)

// Entropy is the only source of randomness. Its methods are those of
// pq3.Entropy, for the reasons given there.
type Entropy interface {
	// Read fills p with random bytes.
	Read(p []byte)
	// Encapsulate makes a shared secret and its ciphertext for an ML-KEM key.
	Encapsulate(ek crypto.Encapsulator) (sharedSecret, ciphertext []byte)
	// SignReader is handed to ECDSA and ML-DSA; nil asks for deterministic
	// signatures.
	SignReader() io.Reader
}

// Suite is one security level. It holds no state.
type Suite interface {
	// Name is unique among the suites, such as "level1".
	Name() string
	// Level is 0 to 3, as in Apple's chart of 2024.
	Level() int
	// NewServer makes the server of a simulation, and what it tells to every
	// device that connects.
	NewServer(ent Entropy, now time.Time) (server Server, greeting []byte, err error)
	// NewParty makes a device that has published nothing yet.
	NewParty(ent Entropy, now time.Time, name string, greeting []byte) (Party, error)
	// ParseParty gives life to a seized state: a clone of the device.
	ParseParty(state []byte) (Party, error)
	// Anatomy says what the bytes of a message are for.
	Anatomy(wire []byte) (Anatomy, error)
}

// Party is one device at one moment. It never changes. Errors wrap a sentinel
// of this package, and leave the Party as it was.
type Party interface {
	// Name is what the server calls this device.
	Name() string
	// Publish makes fresh prekeys and forgets those whose retention has ended.
	// The record goes to the server.
	Publish(ent Entropy, now time.Time) (next Party, record []byte, err error)
	// Meet takes what the server hands out about a peer. Needed once before the
	// first message, and again for a session that must start anew.
	Meet(now time.Time, bundle []byte) (Party, error)
	// Seal encrypts for a peer, starting a session where there is none. Store
	// next before the wire bytes leave.
	Seal(ent Entropy, now time.Time, peer string, plaintext []byte) (next Party, wire []byte, err error)
	// Open decrypts what the server delivered from a peer. Errors:
	// ErrMalformed, ErrSignature, ErrReplay, ErrUndecryptable, ErrPrekey,
	// ErrWaiting, ErrPeer.
	Open(now time.Time, peer string, wire []byte) (next Party, plaintext []byte, err error)
	// Rekeys counts the KEM secrets that entered the session with a peer after
	// its start; a level without a KEM ratchet has none.
	Rekeys(peer string) int
	// State is everything that a thief of the device holds at this moment. Every
	// level has a ParseState for it.
	State() []byte
}

// Server stands between the devices. It never changes.
type Server interface {
	// Register keeps a party's record.
	Register(now time.Time, owner string, record []byte) (Server, error)
	// HandOut gives what a device asks for before it writes to the owner. It
	// may use up a one-time prekey.
	HandOut(owner string) (next Server, bundle []byte, err error)
	// Relay takes a message from one device and makes what goes to the other.
	// kept is the form in which the server stores it meanwhile.
	Relay(ent Entropy, now time.Time, from, to string, wire []byte) (next Server, kept, delivered []byte, err error)
	// State is what a thief of the server holds, stored messages apart.
	State() []byte
}

// Anatomy is what the bytes of one message are for. All are counts of bytes,
// and Total is the length of the message.
type Anatomy struct {
	Total int
	// Rekey are ML-KEM keys and ciphertexts, or pieces of them, that renew a
	// running session.
	Rekey int
	// Start are the values of a session start: prekey names, ephemeral keys,
	// KEM ciphertext, start signature.
	Start int
	// Proof are signatures, tags and key indicators.
	Proof int
	// Text is the ciphertext, padding included.
	Text int
}

// Header is what is left: versions, counters, ratchet keys, lengths.
func (a Anatomy) Header() int { return a.Total - a.Rekey - a.Start - a.Proof - a.Text }
