package attack

import (
	"crypto/ecdh"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/suite/level3"
)

// follow opens every epoch of a session that can be opened, from the first to
// the last.
func (b *burglar) follow(s *taped) {
	if s.starter.Device == nil || s.other.Device == nil {
		return // without their records nothing can be derived
	}
	known := map[uint32]Via{}
	for _, e := range s.epochs {
		if e.root != nil {
			known[e.number] = StolenState
		}
		before, via, ok := s.rootBefore(e, known)
		if !ok {
			continue
		}
		root, key, step, ok := b.enter(s, e, before)
		if !ok {
			continue
		}
		via = min(via, step)
		if e.root == nil {
			e.root = root
		}
		e.chains = append(e.chains, chain{0, key, via})
		if _, have := known[e.number]; !have {
			known[e.number] = via
		}
	}
}

// rootBefore is the root key that goes into an epoch: 32 zero bytes for the
// first.
func (s *taped) rootBefore(e *epoch, known map[uint32]Via) (root []byte, via Via, ok bool) {
	if e.number == 0 {
		return make([]byte, 32), Derived, true
	}
	via, ok = known[e.number-1]
	if !ok {
		return nil, 0, false
	}
	return s.epoch(e.number - 1).root, via, true
}

// enter takes the root step into an epoch with the attacker's own values.
func (b *burglar) enter(s *taped, e *epoch, before []byte) (root, chainKey []byte, via Via, ok bool) {
	oldKey, kemKey, ok := b.answered(s, e)
	if !ok {
		return nil, nil, 0, false
	}
	shared, viaECDH, ok := b.agree(e.opening.RatchetKey, oldKey)
	if !ok {
		return nil, nil, 0, false
	}
	var secret, ciphertext []byte
	viaKEM := Derived
	if e.opening.Flags&level3.HasKEMCiphertext != 0 {
		ciphertext = e.opening.KEMCiphertext
		if secret, viaKEM, ok = b.decapsulate(kemKey, ciphertext); !ok {
			return nil, nil, 0, false
		}
	}
	root, chainKey = level3.RootStep(before, shared, secret, b.info(s, e, oldKey, ciphertext, kemKey))
	return root, chainKey, min(viaECDH, viaKEM), true
}

// answered are the public keys of the other side that an epoch answers: the
// bundle's for the first, else those of the epoch before it.
func (b *burglar) answered(s *taped, e *epoch) (ecdhX, kemKey []byte, ok bool) {
	if e.number == 0 {
		if len(e.opening.PrekeyHash) != len(account.BundleHash{}) {
			return nil, nil, false
		}
		bundle, ok := b.bundles[account.BundleHash(e.opening.PrekeyHash)]
		if !ok {
			return nil, nil, false
		}
		return bundle.ECDH[:], bundle.KEM[:], true
	}
	last := s.epoch(e.number - 1)
	if last == nil {
		return nil, nil, false
	}
	return last.opening.RatchetKey, last.opening.KEMKey, true
}

func (b *burglar) info(s *taped, e *epoch, oldKey, ciphertext, kemKey []byte) []byte {
	from, to := s.starter, s.other
	if e.number%2 == 1 {
		from, to = to, from
	}
	context := account.SessionContext(e.opening.Suite, from, to)
	if e.number == 0 {
		return level3.StartInfo(context, oldKey, e.opening.RatchetKey, ciphertext, kemKey)
	}
	return level3.RatchetInfo(context, oldKey, e.opening.RatchetKey, ciphertext, kemKey)
}

// agree computes an ECDH secret from the private half of either key: one that
// the oracle finds, or a stolen one.
func (b *burglar) agree(newKey, oldKey []byte) (shared []byte, via Via, ok bool) {
	for _, pair := range [][2][]byte{{newKey, oldKey}, {oldKey, newKey}} {
		if b.in.Quantum == nil {
			break
		}
		private, err := b.in.Quantum.P256(pair[0])
		if err != nil {
			continue
		}
		if shared, err := level3.Agree(private, pair[1]); err == nil {
			return shared, Derived, true
		}
	}
	for _, pair := range [][2][]byte{{newKey, oldKey}, {oldKey, newKey}} {
		if s, have := b.scalars[string(pair[0])]; have {
			if shared, err := level3.Agree(s.key, pair[1]); err == nil {
				return shared, s.via, true
			}
		}
	}
	return nil, 0, false
}

// decapsulate opens a KEM ciphertext with a stolen key, or asks for it.
func (b *burglar) decapsulate(kemKey, ciphertext []byte) (secret []byte, via Via, ok bool) {
	if len(kemKey) == 0 || len(ciphertext) == 0 {
		return nil, 0, false
	}
	if s, have := b.seeds[string(kemKey)]; have {
		if secret, err := level3.Decapsulate(s.key, ciphertext); err == nil {
			return secret, s.via, true
		}
	}
	if b.in.KEM == nil {
		return nil, 0, false
	}
	secret, err := b.in.KEM.Secret(kemKey, ciphertext)
	return secret, Derived, err == nil
}

// publicX is the x-coordinate of a private key's public half.
func publicX(private []byte) ([]byte, error) {
	key, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes()[1:33], nil
}
