package bench

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"strings"

	"filippo.io/mldsa"

	"github.com/posthorn/posthorn/account"
)

// floor is the primitives of one suite with keys and inputs made beforehand.
// Its methods call the standard library the plain way, once for each primitive
// that the protocol cannot do without, on inputs of the protocol's sizes. They
// keep no state, check nothing and build no message.
type floor struct {
	suite        account.Suite
	signer       *ecdsa.PrivateKey
	postSigner   *mldsa.PrivateKey
	post         []byte
	mine, theirs *ecdh.PrivateKey
	compressed   []byte
	kem768       *mlkem.DecapsulationKey768
	kem1024      *mlkem.DecapsulationKey1024
	answer768    []byte
	answer1024   []byte
	key          []byte
	context      int // bytes of dst
	bundleCheck  func()
}

func newFloor(suite account.Suite) *floor {
	f := &floor{
		suite: suite, signer: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		postSigner: must(mldsa.GenerateKey(mldsa.MLDSA65())),
		mine:       must(ecdh.P256().GenerateKey(rand.Reader)), theirs: must(ecdh.P256().GenerateKey(rand.Reader)),
		kem768: must(mlkem.GenerateKey768()), kem1024: must(mlkem.GenerateKey1024()),
		key: make([]byte, 32), context: 2 + len(suite.Label()) + 2*(3*2+48+32+48),
	}
	if suite == account.PQ3 {
		f.context = 2 + len(suite.Label()) + 2*(3*2+96+32+33)
	}
	f.compressed = append([]byte{2}, f.theirs.PublicKey().Bytes()[1:33]...)
	_, f.answer768 = f.kem768.EncapsulationKey().Encapsulate()
	_, f.answer1024 = f.kem1024.EncapsulationKey().Encapsulate()
	f.post = must(f.postSigner.Sign(rand.Reader, make([]byte, 2000), &mldsa.Options{}))
	return f
}

// covered is the number of bytes under tag and signature of a message.
func (f *floor) covered(wire int) int { return wire + f.context - 64 - 1 + 18 + 2 + 8*2 }

func (f *floor) sign(n int) {
	digest := sha256.Sum256(make([]byte, n))
	must(ecdsa.SignASN1(rand.Reader, f.signer, digest[:]))
}

// verifier prepares the check of a signature over n bytes.
func (f *floor) verifier(n int) func() {
	message := make([]byte, n)
	digest := sha256.Sum256(message)
	signature := must(ecdsa.SignASN1(rand.Reader, f.signer, digest[:]))
	return func() {
		digest := sha256.Sum256(message)
		if !ecdsa.VerifyASN1(&f.signer.PublicKey, digest[:], signature) {
			panic("bench: the floor's signature does not verify")
		}
	}
}

func (f *floor) expand(label string, n int) []byte {
	return must(hkdf.Expand(sha512.New384, f.key, label, n))
}

// chainStep is the two expansions of the symmetric ratchet.
func (f *floor) chainStep() {
	f.expand("msgKeyDerivation", 32)
	f.expand("chainKeyDerivation", 32)
}

// message is what one message key is used for: proof, cipher.
func (f *floor) message(wire int) {
	if f.suite == account.PQ3A {
		mac := hmac.New(sha512.New384, f.expand("mac", 48))
		mac.Write(make([]byte, f.covered(wire)))
		mac.Sum(nil)
	} else {
		f.expand("msg-key-ind", 32)
	}
	material := f.expand("aes-ctr", 48)
	text := make([]byte, max(128, wire-156))
	cipher.NewCTR(must(aes.NewCipher(material[16:])), material[:16]).XORKeyStream(text, text)
}

// root is the root step with an info of n bytes after the context.
func (f *floor) root(n int) {
	x1 := must(hkdf.Extract(sha512.New384, f.key, f.key))
	x2 := must(hkdf.Extract(sha512.New384, x1, f.key))
	must(hkdf.Expand(sha512.New384, x2, "rkDerivation-"+strings.Repeat("i", f.context+n), 64))
}

func (f *floor) agree(peer *ecdh.PublicKey) { must(f.mine.ECDH(peer)) }

func (f *floor) newKey() { must(ecdh.P256().GenerateKey(rand.Reader)) }

// lift turns the x-coordinate on the wire into a public key.
func (f *floor) lift() *ecdh.PublicKey {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), f.compressed)
	point := make([]byte, 65)
	point[0] = 4
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	return must(ecdh.P256().NewPublicKey(point))
}

func (f *floor) signPost(n int) {
	must(f.postSigner.Sign(rand.Reader, make([]byte, n), &mldsa.Options{}))
}

func (f *floor) verifyPost() {
	check(mldsa.Verify(f.postSigner.PublicKey(), make([]byte, 2000), f.post, &mldsa.Options{}))
}
