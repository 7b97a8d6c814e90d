package attack

import (
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level3"
)

// ErrLacks says that an attack cannot even be tried with what the attacker has.
var ErrLacks = errors.New("attack: something that this attack needs is missing, so nothing was sent")

// Impersonate makes the first message of a session from victim to target as if
// the victim had written it. The recording has both records; the oracle gives
// the victim's ECDSA key. Where an ML-DSA signature is wanted, the attacker
// signs with a key of its own, having no other. Error: ErrLacks.
func Impersonate(in Inputs, ent suite.Entropy, now time.Time, victim, target string, text []byte) (wire []byte, err error) {
	if in.Recording == nil || in.Quantum == nil {
		return nil, ErrLacks
	}
	b := newBurglar(in)
	from, to := b.parties[victim], b.parties[target]
	bundle := b.newest(in.Recording, target)
	if from.Device == nil || to.Device == nil || bundle == nil {
		return nil, ErrLacks
	}
	ecdsa := from.Device.Key.ECDSABytes()
	scalar, err := in.Quantum.P256(ecdsa[1:])
	if err != nil {
		return nil, ErrLacks
	}
	seeds := account.KeySeeds{ECDSA: secret.Key(scalar)}
	ent.Read(seeds.MLDSA[:])
	key, err := seeds.SigningKey()
	if err != nil {
		return nil, err
	}
	return forgeStart(ent, now, key, account.SessionContext(bundle.Suite, from, to), bundle, text)
}

// newest is the last bundle of a device that crossed a wire.
func (b *burglar) newest(r *harvest.Recording, device string) (bundle *account.Bundle) {
	for _, c := range r.Crossings {
		if record, err := level3.ParseRecord(c.Bytes); err == nil && record.Name == device {
			if parsed, err := account.ParseBundle(record.Bundle); err == nil {
				bundle = parsed
			}
		}
	}
	return bundle
}

// forgeStart is SPEC §5.2 with a key that is not the sender's own.
func forgeStart(ent suite.Entropy, now time.Time, key *account.SigningKey, context []byte, bundle *account.Bundle, text []byte) ([]byte, error) {
	mine := xonly.NewKey(ent.Read)
	x, hash := xonly.X(mine.PublicKey()), bundle.Hash()
	kemSecret, ciphertext := ent.Encapsulate(bundle.KEMKey())
	shared, err := level3.Agree(mine.Bytes(), bundle.ECDH[:])
	if err != nil {
		return nil, err
	}
	m := &level3.Message{
		Suite: bundle.Suite, Flags: level3.HasKEMCiphertext | level3.HasStart | level3.Carried,
		RatchetKey: x[:], KEMCiphertext: ciphertext, PrekeyHash: hash[:],
		StartTime: binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())),
	}
	copy(m.Session[:], digest("posthorn/sid/v1", nil, hash[:], x[:], ciphertext))
	if m.Suite == account.PQ3A {
		signed := slices.Concat(context, m.Session[:])
		for _, part := range [][]byte{hash[:], x[:], ciphertext} {
			signed = codec.AppendV16(signed, part)
		}
		if m.StartSignature, err = key.SignMLDSA(ent.SignReader(), append(signed, m.StartTime...), "posthorn/pq3a/start/v1"); err != nil {
			return nil, err
		}
	}
	bound := slices.Concat(context, m.Session[:], binary.BigEndian.AppendUint32(nil, 0), x[:])
	m.Digest = digest("posthorn/objs/v1", bound, m.KEMKey, ciphertext, hash[:], m.StartTime, m.StartSignature)
	_, chainKey := level3.RootStep(make([]byte, 32), shared, kemSecret, level3.StartInfo(context, bundle.ECDH[:], x[:], ciphertext, bundle.KEM[:]))
	messageKey, _ := level3.ChainStep(chainKey)
	frame := make([]byte, 128)
	binary.BigEndian.PutUint32(frame, uint32(copy(frame[4:], text)))
	m.Ciphertext = level3.Crypt(messageKey, frame)
	m.Proof = level3.Indicator(messageKey)
	if m.Suite == account.PQ3A {
		m.Proof = level3.Tag(messageKey, m.Covered(context, make([]byte, 32)))
	}
	return sign(m, key, context)
}

func digest(label string, bound []byte, fields ...[]byte) []byte {
	b := append([]byte(label), bound...)
	for _, f := range fields {
		b = codec.AppendV16(b, f)
	}
	sum := sha512.Sum384(b)
	return sum[:8]
}

func sign(m *level3.Message, key *account.SigningKey, context []byte) ([]byte, error) {
	signature, err := key.SignECDSA(nil, m.Covered(context, m.Proof))
	if err != nil {
		return nil, err
	}
	m.Signature = signature[:]
	return m.Marshal(), nil
}

// Edit changes what a message on its way says, where the attacker guesses the
// words at the beginning, and signs it with the sender's stolen signing keys.
// It has no key of the session. Error: ErrLacks.
func Edit(in Inputs, wire []byte, from, to string, guess, instead []byte) ([]byte, error) {
	return tamper(in, wire, from, to, func(m *level3.Message) {
		for i := range guess {
			m.Ciphertext[4+i] ^= guess[i] ^ instead[i]
		}
	})
}

// Strip cuts the post-quantum objects out of a message, and all mention of
// them, and signs it with the sender's stolen signing keys. Error: ErrLacks.
func Strip(in Inputs, wire []byte, from, to string) ([]byte, error) {
	return tamper(in, wire, from, to, func(m *level3.Message) {
		m.Flags, m.Digest = 0, nil
		m.KEMKey, m.KEMCiphertext = nil, nil
	})
}

func tamper(in Inputs, wire []byte, from, to string, change func(*level3.Message)) ([]byte, error) {
	if in.Recording == nil || len(in.Seized) == 0 {
		return nil, ErrLacks
	}
	stolen, err := level3.ParseState(in.Seized[0].State)
	if err != nil || stolen.Name != from {
		return nil, ErrLacks
	}
	key, err := stolen.Seeds.SigningKey()
	if err != nil {
		return nil, err
	}
	m, err := level3.ParseMessage(wire)
	if err != nil {
		return nil, err
	}
	b := newBurglar(Inputs{Recording: in.Recording})
	if b.parties[from].Device == nil || b.parties[to].Device == nil {
		return nil, ErrLacks
	}
	change(m)
	return sign(m, key, account.SessionContext(m.Suite, b.parties[from], b.parties[to]))
}

// CarriesRekey reports whether a message on its way carries post-quantum
// objects of a running session, so that a network may drop it.
func CarriesRekey(wire []byte) bool {
	m, err := level3.ParseMessage(wire)
	return err == nil && m.Epoch > 0 && m.Flags&level3.Carried != 0
}
