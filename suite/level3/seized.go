package level3

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// Session is a stored session taken apart (SPEC §10.1): its secrets, and what
// is needed to use them. It is read from the stored bytes alone.
type Session struct {
	Suite     account.Suite
	Initiator bool
	ID        pq3.SessionID
	StartTime uint64
	Epoch     uint32
	Rekeys    uint32
	Root      secret.Key
	Send      *SendChain    // while this device opened the current epoch
	Receive   *ReceiveChain // once the peer has written
	Skipped   []SkippedKey
}

// SendChain is the chain of the epoch that the device opened last.
type SendChain struct {
	ChainKey   secret.Key
	Index      uint32 // of the next message
	RatchetKey secret.Key
	KEMSeed    *secret.Seed64 // of an advertised key that was not answered yet
	KEMKey     []byte         // that key
}

// ReceiveChain is the chain of the epoch that the peer opened last.
type ReceiveChain struct {
	ChainKey   secret.Key
	Index      uint32 // of the first message not yet received
	RatchetKey []byte // the peer's, public
	KEMKey     []byte // advertised by the peer and not answered yet; public
}

// SkippedKey opens one message that was overtaken.
type SkippedKey struct {
	Epoch, Index uint32
	MessageKey   secret.Key
}

// ParseSession reads both parts of a stored session. It checks form only.
func ParseSession(state, skipped []byte) (*Session, error) {
	refused := suite.Refuse("level3", suite.ErrState, "not a stored session")
	r := codec.NewReader(state)
	version := r.U8()
	s := &Session{Suite: account.Suite(r.U8())}
	bits := r.U8()
	s.Initiator = bits&1 != 0
	r.Bytes(16) // binding
	r.Copy(s.ID[:])
	s.StartTime = r.U64()
	r.Bytes(4 * 8) // lastKem, lastRekey, keyMade, openedAt
	s.Epoch = r.U32()
	r.Bytes(4) // since
	s.Rekeys = r.U32()
	r.Bytes(4) // lastSent
	r.Copy(s.Root[:])
	if s.Epoch%2 == 0 == s.Initiator {
		s.readSendChain(r)
	}
	if bits&2 != 0 {
		s.readReceiveChain(r)
	}
	if !r.Done() || version != 1 || !s.Suite.Valid() || bits > 3 {
		return nil, refused
	}
	return s, s.readSkipped(skipped)
}

func (s *Session) readSendChain(r *codec.Reader) {
	c := &SendChain{}
	r.Copy(c.ChainKey[:])
	c.Index = r.U32()
	r.Bytes(4) // pn
	r.Copy(c.RatchetKey[:])
	m := &Message{Suite: s.Suite, Epoch: s.Epoch, Flags: r.U8()}
	if m.Flags != 0 {
		m.readObjects(r)
	}
	if m.Flags&HasKEMKey != 0 {
		c.KEMKey, c.KEMSeed = m.KEMKey, &secret.Seed64{}
		r.Copy(c.KEMSeed[:])
		r.Bytes(8) // made
	}
	s.Send = c
}

func (s *Session) readReceiveChain(r *codec.Reader) {
	c := &ReceiveChain{}
	r.Copy(c.ChainKey[:])
	c.Index = r.U32()
	r.Bytes(4) // pn
	c.RatchetKey = r.Bytes(32)
	flags := r.U8()
	if flags != 0 {
		r.Bytes(48) // objects hash
	}
	if s.Send == nil && flags&HasKEMKey != 0 {
		c.KEMKey = r.Bytes(1184)
	}
	s.Receive = c
}

func (s *Session) readSkipped(b []byte) error {
	r := codec.NewReader(b)
	for r.Len() > 0 {
		version := r.U8()
		for n := r.U16(); n > 0 && !r.Failed(); n-- {
			k := SkippedKey{Epoch: r.U32(), Index: r.U32()}
			r.Bytes(8) // time
			r.Copy(k.MessageKey[:])
			s.Skipped = append(s.Skipped, k)
		}
		if r.Failed() || version != 1 {
			return suite.Refuse("level3", suite.ErrState, "not a list of skipped keys")
		}
	}
	return nil
}

// Prekey is the private half of a bundle, as it is stored.
type Prekey struct {
	ECDH   secret.Key
	KEM    secret.Seed64 // ML-KEM-1024
	Bundle *account.Bundle
}

// ParsePrekey reads a stored prekey. SPEC §10.1.
func ParsePrekey(b []byte) (*Prekey, error) {
	r := codec.NewReader(b)
	version := r.U8()
	p := &Prekey{}
	r.Copy(p.ECDH[:])
	r.Copy(p.KEM[:])
	encoded := r.V32(account.BundleSize)
	if !r.Done() || version != 1 {
		return nil, suite.Refuse("level3", suite.ErrState, "not a stored prekey")
	}
	bundle, err := account.ParseBundle(encoded)
	if err != nil {
		return nil, &suite.Error{Level: "level3", Err: suite.ErrState, Detail: "a prekey without its bundle", Cause: err}
	}
	p.Bundle = bundle
	return p, nil
}
