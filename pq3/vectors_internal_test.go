package pq3

import "github.com/posthorn/posthorn/internal/xonly"

// What follows is every use that the vector tests make of unexported names:
// for each primitive, the way in which the core itself reaches it.

// VectorMAC is HMAC-SHA-384 by each of the core's forms that takes this key.
func VectorMAC(key, input []byte) (forms [][]byte) {
	long := macLong(key, input[:len(input)/2], input[len(input)/2:])
	forms = append(forms, long[:])
	if len(key) <= blockSize {
		short := macShort(key, input)
		forms = append(forms, short[:])
	}
	return forms
}

// VectorExpand is HKDF-SHA-384 Expand by each of the core's forms that gives
// this much for this info.
func VectorExpand(key, info []byte, n int) (forms [][]byte) {
	long := make([]byte, n)
	expandLong(long, key, string(info[:len(info)/2]), info[len(info)/2:])
	forms = append(forms, long)
	if n <= hashSize && len(info) < shortInput {
		short := make([]byte, n)
		expandLabel(short, key, string(info))
		forms = append(forms, short)
	}
	return forms
}

// VectorTag is the tag of suite PQ3A under a message key.
func VectorTag(mk [32]byte, covered []byte) [32]byte { return messageKey{mk}.tag(covered) }

// VectorCrypt encrypts in place under a message key.
func VectorCrypt(mk [32]byte, text []byte) { messageKey{mk}.crypt(text) }

// VectorAgree is ECDH as the ratchet does it: a key made from drawn bytes, and
// a ratchet key as it stands in a message.
func VectorAgree(scalar, x []byte) ([]byte, error) {
	peer, err := liftRatchetKey(x)
	if err != nil {
		return nil, err
	}
	return agree(xonly.NewKey(func(p []byte) { copy(p, scalar) }), peer), nil
}

// VectorEncapsulate768 answers an advertised key as the step into a new epoch
// does.
func VectorEncapsulate768(ek []byte, ent Entropy) (secret, ciphertext []byte, err error) {
	next := &step{}
	secret, err = next.answer(ent, &receiveChain{kemKey: ek})
	return secret, next.kemCiphertext, err
}

// VectorDecapsulate768 takes an answer to the key that a session advertises,
// and gives that key as well.
func VectorDecapsulate768(s *Session, ciphertext []byte) (secret, ek []byte, err error) {
	secret, err = s.decapsulate(&Message{objects: objects{kemCiphertext: ciphertext}})
	return secret, s.myKEM.key().EncapsulationKey().Bytes(), err
}

// VectorDecapsulate1024 takes the ciphertext of a start under a prekey.
func VectorDecapsulate1024(p *Prekey, ciphertext []byte) ([]byte, error) {
	return p.expanded.Decapsulate(ciphertext)
}
