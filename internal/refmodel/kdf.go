package refmodel

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha512"
)

func sha384(parts ...[]byte) []byte {
	sum := sha512.Sum384(cat(parts...))
	return sum[:]
}

func hmac384(key, message []byte) []byte {
	mac := hmac.New(sha512.New384, key)
	mac.Write(message)
	return mac.Sum(nil)
}

// extract is the first half of RFC 5869: PRK = HMAC(salt, input). SPEC §6.
func extract(salt, input []byte) []byte { return hmac384(salt, input) }

// expand is the second half: T(i) = HMAC(PRK, T(i−1) ‖ info ‖ i). SPEC §6.
func expand(key []byte, info string, n int) []byte {
	var out, block []byte
	for i := byte(1); len(out) < n; i++ {
		block = hmac384(key, cat(block, []byte(info), u8(i)))
		out = cat(out, block)
	}
	return out[:n]
}

// rootStep opens an epoch. SPEC §6.1.
func rootStep(root, ecdhSecret, kemSecret, info []byte, flaw Flaw) (nextRoot, chainKey []byte) {
	if kemSecret == nil {
		kemSecret = make([]byte, 48)
	}
	a := extract(root, ecdhSecret)
	b := extract(kemSecret, a)
	if flaw == SaltAndInputSwapped {
		b = extract(a, kemSecret)
	}
	out := expand(b, "rkDerivation-"+string(info), 64)
	return out[:32], out[32:]
}

// messageKey walks from the first key of a chain to position n. SPEC §6.2.
func messageKey(firstChainKey []byte, n uint32) []byte {
	chainKey := firstChainKey
	for range n {
		chainKey = expand(chainKey, "chainKeyDerivation", 32)
	}
	return expand(chainKey, "msgKeyDerivation", 32)
}

// proofOf is the indicator or the tag. SPEC §6.3.
func proofOf(suite byte, key []byte, covered func(x []byte) []byte, flaw Flaw) []byte {
	if suite == PQ3 {
		return expand(key, "msg-key-ind", 32)
	}
	x := make([]byte, 32)
	if flaw == TagOverOnes {
		for i := range x {
			x[i] = 1
		}
	}
	return hmac384(expand(key, "mac", 48), covered(x))[:32]
}

// crypt encrypts or decrypts: AES-256 in counter mode, whose first block is
// derived too. SPEC §6.3.
func crypt(key, in []byte) []byte {
	material := expand(key, "aes-ctr", 48)
	counterBlock, aesKey := material[:16], material[16:]
	block, err := aes.NewCipher(aesKey)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	out := make([]byte, len(in))
	cipher.NewCTR(block, counterBlock).XORKeyStream(out, in)
	return out
}

// startInfo is what the first root step is bound to. SPEC §6.4.
func startInfo(dst, prekeyECDH, a, ct1024, prekeyKEM []byte) []byte {
	return cat(dst, []byte("session_start"), v16(prekeyECDH), v16(a), v16(ct1024), v16(prekeyKEM))
}

// epochInfo is what a later root step is bound to; answered and answer are empty
// when no KEM key is answered. SPEC §6.4.
func epochInfo(dst, old, fresh, answer, answered []byte) []byte {
	info := cat(dst, []byte("pk_ratchet"), v16(old), v16(fresh))
	if len(answer) > 0 {
		info = cat(info, v16(answer), v16(answered))
	}
	return info
}
