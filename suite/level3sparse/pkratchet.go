package level3sparse

import (
	"crypto/hmac"
	"crypto/mlkem"
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Sparse is the KEM ratchet: a level1.SecondRatchet.
type Sparse struct{}

// Begin makes the state of epoch 0. The initiator is the one who sends the key
// of the first exchange.
func (Sparse) Begin(startSecret []byte, initiator bool) []byte {
	s := &State{Initiator: initiator, Keys: BeginKeys(startSecret)}
	s.Send, s.Receive = s.chains()
	s.Keys.forgetChains()
	return s.Marshal()
}

// chains are the first keys of the epoch that Keys belong to, own direction
// first.
func (s *State) chains() (own, peer Chain) {
	own, peer = Chain{Key: s.Keys.Initiator}, Chain{Key: s.Keys.Responder}
	if !s.Initiator {
		own, peer = peer, own
	}
	return own, peer
}

// forgetChains: once chains run, their first keys must not be found.
func (k *Keys) forgetChains() { k.Initiator, k.Responder = secret.Key{}, secret.Key{} }

// sendsKey reports whether this device sends the key of the exchange under way.
func (s *State) sendsKey() bool { return (s.Send.Epoch%2 == 0) == s.Initiator }

// Send gives the key of the next message, and its header with a piece of
// whatever this device has to send.
func (Sparse) Send(ent suite.Entropy, state []byte) (next, header, key []byte, err error) {
	s, err := ParseState(state)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := s.prepare(ent); err != nil {
		return nil, nil, nil, err
	}
	h := &Header{Epoch: s.Send.Epoch, Index: s.Send.Index, Previous: s.Previous}
	if kind := s.kindToSend(); kind != NoPiece {
		h.Kind, h.Piece = kind, Cut(s.Object, s.Sent)
		s.Sent++
	}
	messageKey, advanced := s.Send.next()
	s.Send = advanced
	return s.Marshal(), h.Marshal(), messageKey[:], nil
}

// kindToSend: the key until the first piece of its ciphertext shows that it
// arrived; the ciphertext until the peer's next epoch shows it.
func (s *State) kindToSend() Kind {
	switch {
	case s.sendsKey() && len(s.Pieces) == 0:
		return KeyPiece
	case !s.sendsKey() && s.NextSend != nil:
		return CiphertextPiece
	}
	return NoPiece
}

// prepare makes the object that is due, if there is none yet.
func (s *State) prepare(ent suite.Entropy) error {
	switch {
	case s.sendsKey() && s.Seed == nil:
		s.Seed = &secret.Seed64{}
		ent.Read(s.Seed[:])
		s.setObject(KeyPiece, expand(*s.Seed).EncapsulationKey().Bytes())
	case !s.sendsKey() && s.PeerKey != nil && s.NextSend == nil:
		key, err := mlkem.NewEncapsulationKey768(s.PeerKey)
		if err != nil {
			return refuse(suite.ErrState, "the stored key is no ML-KEM-768 key")
		}
		kemSecret, ciphertext := ent.Encapsulate(key)
		own, peer := s.enter(kemSecret)
		s.NextSend, s.NextReceive = &own.Key, &peer.Key
		s.setObject(CiphertextPiece, ciphertext)
	}
	return nil
}

func (s *State) setObject(kind Kind, object []byte) {
	s.Object = append(object, Proof(s.Keys.Proof, kind, s.Send.Epoch+1, object)...)
	s.Sent = 0
}

// enter mixes a KEM secret into the root and returns the chains of the epoch.
func (s *State) enter(kemSecret []byte) (own, peer Chain) {
	s.Keys = EpochKeys(s.Keys, kemSecret)
	own, peer = s.chains()
	s.Keys.forgetChains()
	return own, peer
}

// Receive gives the key of a received message and takes the piece that it
// carries. What it returns counts only if the message decrypts.
func (Sparse) Receive(state, header []byte) (next, key []byte, err error) {
	s, err := ParseState(state)
	if err != nil {
		return nil, nil, err
	}
	h, err := ParseHeader(header)
	if err != nil {
		return nil, nil, err
	}
	messageKey, err := s.receiveKey(h)
	if err != nil {
		return nil, nil, err
	}
	if h.Epoch == s.Send.Epoch+1 && s.NextSend != nil {
		s.advance(Chain{Key: *s.NextSend})
	}
	if err := s.takePiece(h); err != nil {
		return nil, nil, err
	}
	return s.Marshal(), messageKey[:], nil
}

// advance enters the next epoch as a sender, and with it the next exchange.
func (s *State) advance(own Chain) {
	own.Epoch = s.Send.Epoch + 1
	s.Previous, s.Send, s.NextSend = s.Send.Index, own, nil
	s.Seed, s.Object, s.Sent, s.Pieces, s.PeerKey = nil, nil, 0, nil, nil
}

// takePiece collects the pieces of the exchange under way. Those of an exchange
// that is over are of no use.
func (s *State) takePiece(h *Header) error {
	if h.Kind == NoPiece || h.Epoch != s.Send.Epoch {
		return nil
	}
	if s.sendsKey() == (h.Kind == KeyPiece) || s.sendsKey() && s.Seed == nil {
		return refuse(suite.ErrUndecryptable, "a piece of an object that is not the sender's to send")
	}
	known := func(p Piece) bool { return p.Index == h.Piece.Index }
	if s.PeerKey != nil || slices.ContainsFunc(s.Pieces, known) {
		return nil
	}
	s.Pieces = append(slices.Clone(s.Pieces), h.Piece)
	if len(s.Pieces) < h.Kind.pieces() {
		return nil
	}
	object, err := Rebuild(s.Pieces, h.Kind.pieces())
	if err != nil {
		return err
	}
	value, proof := object[:len(object)-proofSize], object[len(object)-proofSize:]
	if h.Kind == KeyPiece {
		return s.takeKey(value, proof)
	}
	return s.takeCiphertext(value, proof)
}

func (s *State) takeKey(key, proof []byte) error {
	if !hmac.Equal(proof, Proof(s.Keys.Proof, KeyPiece, s.Send.Epoch+1, key)) {
		return refuse(suite.ErrUndecryptable, "a KEM key without its proof")
	}
	if _, err := mlkem.NewEncapsulationKey768(key); err != nil {
		return &suite.Error{Level: level, Err: suite.ErrUndecryptable, Detail: "not an ML-KEM-768 key", Cause: err}
	}
	s.PeerKey, s.Pieces = key, nil
	return nil
}

func (s *State) takeCiphertext(ciphertext, proof []byte) error {
	kemSecret, err := Decapsulate(*s.Seed, ciphertext)
	if err != nil {
		return err
	}
	own, peer := s.enter(kemSecret)
	if !hmac.Equal(proof, Proof(s.Keys.Proof, CiphertextPiece, s.Send.Epoch+1, ciphertext)) {
		return refuse(suite.ErrUndecryptable, "a KEM ciphertext without its proof")
	}
	s.NextReceive = &peer.Key
	s.advance(own)
	return nil
}

// Rekeys is the number of the epoch that this device sends in.
func (Sparse) Rekeys(state []byte) int {
	s, err := ParseState(state)
	if err != nil {
		return 0
	}
	return int(s.Send.Epoch)
}
