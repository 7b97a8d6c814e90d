package pairing

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

const (
	// Life is how long a code is good.
	Life = 10 * time.Minute
	// MaxMessage is the length of the longest message, in bytes.
	MaxMessage = 16 << 10

	version = 1
	macSize = 48
	keySize = 32 // of X25519
	label   = "posthorn/pairing/v1"

	helloSize = 1 + keySize + mlkem.EncapsulationKeySize1024 + macSize
	replyHead = 1 + keySize + mlkem.CiphertextSize1024
)

// Entropy is where all randomness comes from.
type Entropy interface {
	// Read fills p with random bytes.
	Read(p []byte)
	// Encapsulate makes a shared secret and its ciphertext.
	Encapsulate(ek crypto.Encapsulator) (sharedSecret, ciphertext []byte)
}

// Waiting is the new device after its hello.
type Waiting struct {
	code  Code
	hello []byte
	ecdh  *ecdh.PrivateKey
	kem   *mlkem.DecapsulationKey1024
	began time.Time
}

// Format shows nothing: private keys are inside.
func (w *Waiting) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Begin draws the new device's ephemeral keys. Its hello is message 0.
func Begin(code Code, now time.Time, entropy Entropy) (*Waiting, []byte) {
	var seed secret.Seed64
	w := &Waiting{code: code, ecdh: newX25519(entropy), began: now}
	secret.Do(func() {
		entropy.Read(seed[:])
		defer seed.Wipe()
		var err error
		if w.kem, err = mlkem.NewDecapsulationKey1024(seed[:]); err != nil {
			panic("pairing: " + err.Error()) // the seed has the right length
		}
	})
	b := append([]byte{version}, w.ecdh.PublicKey().Bytes()...)
	b = append(b, w.kem.EncapsulationKey().Bytes()...)
	w.hello = append(b, helloMAC(code, b)...)
	return w, w.hello
}

func newX25519(entropy Entropy) (key *ecdh.PrivateKey) {
	var seed secret.Key
	defer seed.Wipe()
	secret.Do(func() {
		entropy.Read(seed[:])
		var err error
		if key, err = ecdh.X25519().NewPrivateKey(seed[:]); err != nil {
			panic("pairing: " + err.Error()) // every 32 bytes are a key
		}
	})
	return key
}

func helloMAC(code Code, b []byte) []byte {
	mac := hmac.New(sha512.New384, code.derive("hello", macSize))
	mac.Write(codec.AppendV32([]byte(label+"/hello"), b))
	return mac.Sum(nil)
}

// Join is the old device's answer to a hello: it checks that the hello was
// made with the code, and seals an invitation. Errors: ErrMessage, ErrPayload.
func Join(code Code, hello []byte, invitation *Invitation, now time.Time, entropy Entropy) (*Session, []byte, error) {
	if len(hello) != helloSize || hello[0] != version {
		return nil, nil, reject.New("V-231", ErrMessage, "not a hello")
	}
	front := hello[:helloSize-macSize]
	if !hmac.Equal(helloMAC(code, front), hello[helloSize-macSize:]) {
		return nil, nil, reject.New("V-232", ErrMessage, "a hello that was made without the code")
	}
	ek, err := mlkem.NewEncapsulationKey1024(front[1+keySize:])
	if err != nil {
		return nil, nil, reject.New("V-231", ErrMessage, "no ML-KEM key")
	}
	mine := newX25519(entropy)
	dh, err := agree(mine, front[1:1+keySize])
	if err != nil {
		return nil, nil, err
	}
	shared, ct := entropy.Encapsulate(ek)
	defer secret.Wipe(dh, shared)
	head := append([]byte{version}, mine.PublicKey().Bytes()...)
	head = append(head, ct...)
	s := newSession(code, hello, head, dh, shared, now)
	s, sealed, err := s.seal(invitation.Marshal(), head)
	return s, sealed, err
}

// agree is X25519, refusing what makes the result no secret.
func agree(mine *ecdh.PrivateKey, theirs []byte) (dh []byte, err error) {
	public, err := ecdh.X25519().NewPublicKey(theirs)
	if err == nil {
		secret.Do(func() { dh, err = mine.ECDH(public) })
	}
	if err != nil {
		return nil, reject.New("V-231", ErrMessage, "an X25519 key of small order")
	}
	return dh, nil
}

// Finish takes the old device's answer. Errors: ErrExpired, ErrMessage, ErrPayload.
func (w *Waiting) Finish(reply []byte, now time.Time) (*Session, *Invitation, error) {
	if expired(w.began, now) {
		return nil, nil, reject.New("V-234", ErrExpired, "")
	}
	if len(reply) < replyHead || len(reply) > MaxMessage || reply[0] != version {
		return nil, nil, reject.New("V-231", ErrMessage, "not an answer to a hello")
	}
	head := reply[:replyHead]
	dh, err := agree(w.ecdh, head[1:1+keySize])
	if err != nil {
		return nil, nil, err
	}
	var shared []byte
	secret.Do(func() { shared, err = w.kem.Decapsulate(head[1+keySize:]) })
	if err != nil {
		return nil, nil, reject.New("V-231", ErrMessage, "no ML-KEM ciphertext")
	}
	defer secret.Wipe(dh, shared)
	s := newSession(w.code, w.hello, head, dh, shared, w.began)
	s.mine = fromNew
	next, payload, err := s.open(reply, replyHead)
	if err != nil {
		return nil, nil, err
	}
	invitation, err := ParseInvitation(payload)
	return next, invitation, err
}

func expired(began, now time.Time) bool { return now.Before(began) || now.Sub(began) > Life }

// side says who seals a message: messages alternate.
type side uint8

const (
	fromOld side = iota
	fromNew
)

// Session is the channel between both devices after message 1. It never
// changes; each call returns the next one.
type Session struct {
	mine       side
	next       uint64 // index of the next message of either side
	transcript [48]byte
	keys       [2]secret.Key // by side
	began      time.Time
}

// Format shows nothing: keys are inside.
func (s *Session) Format(f fmt.State, _ rune) { secret.Redact(f) }

// newSession derives both keys. The code's key is the salt, so without the
// code there are no keys; both shared secrets are the input, so one of them
// unbroken is enough; the transcript is bound in.
func newSession(code Code, hello, head, dh, shared []byte, began time.Time) *Session {
	s := &Session{mine: fromOld, next: 1, began: began}
	s.transcript = sha512.Sum384(codec.AppendV32(codec.AppendV32([]byte(label), hello), head))
	secret.Do(func() {
		input := append(append([]byte(nil), dh...), shared...)
		defer secret.Wipe(input)
		both, err := hkdf.Key(sha512.New384, input, code.derive("channel", macSize), label+"/keys"+string(s.transcript[:]), 2*len(secret.Key{}))
		if err != nil {
			panic("pairing: " + err.Error()) // the length is a constant of ours
		}
		defer secret.Wipe(both)
		copy(s.keys[fromOld][:], both)
		copy(s.keys[fromNew][:], both[len(secret.Key{}):])
	})
	secret.Created("pairing channel", s.keys[fromOld][:])
	secret.Created("pairing channel", s.keys[fromNew][:])
	return s
}

// Next is the index of the next message.
func (s *Session) Next() uint32 { return uint32(s.next) }

// turn is whose message is next: the old device sends the odd ones.
func (s *Session) turn() side {
	if s.next%2 == 1 {
		return fromOld
	}
	return fromNew
}

// Seal makes the next message. Error: ErrOrder when it is the other's turn.
func (s *Session) Seal(payload []byte) (*Session, []byte, error) { return s.seal(payload, nil) }

func (s *Session) seal(payload, head []byte) (*Session, []byte, error) {
	if s.turn() != s.mine {
		return nil, nil, reject.New("V-233", ErrOrder, "it is the other side's turn")
	}
	if len(payload)+len(head)+16 > MaxMessage {
		return nil, nil, reject.New("V-235", ErrPayload, "too long")
	}
	message := s.aead().Seal(append([]byte(nil), head...), s.nonce(), payload, s.transcript[:])
	return s.after(message), message, nil
}

// Open takes the next message of the other side. Errors: ErrExpired, ErrOrder,
// ErrMessage.
func (s *Session) Open(message []byte, now time.Time) (*Session, []byte, error) {
	if expired(s.began, now) {
		return nil, nil, reject.New("V-234", ErrExpired, "")
	}
	return s.open(message, 0)
}

func (s *Session) open(message []byte, head int) (*Session, []byte, error) {
	if s.turn() == s.mine {
		return nil, nil, reject.New("V-233", ErrOrder, "it is this side's turn")
	}
	payload, err := s.aead().Open(nil, s.nonce(), message[head:], s.transcript[:])
	if err != nil {
		return nil, nil, reject.New("V-232", ErrMessage, "it does not open")
	}
	return s.after(message), payload, nil
}

// after is the session behind a message, whose bytes all later ones depend on.
func (s *Session) after(message []byte) *Session {
	next := *s
	next.transcript = sha512.Sum384(codec.AppendV32(append([]byte(label+"/next"), s.transcript[:]...), message))
	next.next++
	return &next
}

func (s *Session) aead() (aead cipher.AEAD) {
	secret.Do(func() {
		block, err := aes.NewCipher(s.keys[s.turn()][:])
		if err == nil {
			aead, err = cipher.NewGCM(block)
		}
		if err != nil {
			panic("pairing: " + err.Error()) // the key has the right length
		}
	})
	return aead
}

// nonce is the index of the message: each key seals an index once.
func (s *Session) nonce() []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), s.next)
}
