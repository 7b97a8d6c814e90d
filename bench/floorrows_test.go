package bench

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha512"

	"github.com/posthorn/posthorn/account"
)

// The floor of each row: the list of primitives of SPEC §5 to §9 for it.

func (f *floor) makeBundle() {
	f.newKey()
	key := must(mlkem.GenerateKey1024())
	key.EncapsulationKey().Bytes()
	f.sign(1900)
	f.signPost(1900)
}

func (f *floor) verifyBundle() {
	f.lift()
	must(mlkem.NewEncapsulationKey1024(f.kem1024.EncapsulationKey().Bytes()))
	f.verifyBundleSignatures()
}

func (f *floor) verifyBundleSignatures() {
	f.verifier1900()
	f.verifyPost()
}

// verifier1900 checks a signature over as many bytes as a bundle's.
func (f *floor) verifier1900() {
	if f.bundleCheck == nil {
		f.bundleCheck = f.verifier(1900)
	}
	f.bundleCheck()
}

func (f *floor) initiate(wire int) func() {
	seal := f.sealStream(wire)
	return func() {
		f.verifyBundleSignatures()
		f.newKey()
		f.agree(f.theirs.PublicKey())
		f.kem1024.EncapsulationKey().Encapsulate()
		f.root(13 + 2*(2+32) + 2*(2+1568))
		f.startNames()
		if f.suite == account.PQ3A {
			f.signPost(2000)
		}
		seal()
	}
}

// startNames are the hashes of a start: bundle, session id, objects.
func (f *floor) startNames() {
	sha512.Sum384(make([]byte, account.BundleSize))
	sha512.Sum384(make([]byte, 1669))
	f.objects(1568 + 48 + 8)
}

// objects is the digest over the objects of a chain.
func (f *floor) objects(n int) {
	if f.suite == account.PQ3A && n == 1568+48+8 {
		n += 3309
	}
	sha512.Sum384(make([]byte, f.context+n+70))
}

func (f *floor) accept(wire int) func() {
	verify := f.verifier(f.covered(wire))
	return func() {
		verify()
		f.startNames()
		sha512.Sum384(make([]byte, 1654)) // the replay key
		if f.suite == account.PQ3A {
			f.verifyPost()
		}
		f.agree(f.lift())
		must(f.kem1024.Decapsulate(f.answer1024))
		f.root(13 + 2*(2+32) + 2*(2+1568))
		f.chainStep()
		f.message(wire)
	}
}

func (f *floor) sealStream(wire int) func() {
	return func() {
		f.chainStep()
		f.message(wire)
		f.sign(f.covered(wire))
	}
}

func (f *floor) openStream(wire int) func() {
	verify := f.verifier(f.covered(wire))
	return func() {
		verify()
		f.chainStep()
		f.message(wire)
	}
}

// openKnown opens a message whose key was put aside.
func (f *floor) openKnown(wire int) func() {
	verify := f.verifier(f.covered(wire))
	return func() {
		verify()
		f.message(wire)
	}
}

// openAfter opens a new epoch on a message that overtook others.
func (f *floor) openAfter(missing, wire int) func() {
	open := f.openTurn(wire, 0)
	return func() {
		for range missing {
			f.chainStep()
		}
		open()
	}
}

// prepare is the part of a reply that does not depend on the text.
func (f *floor) prepare() {
	f.newKey()
	f.agree(f.theirs.PublicKey())
	f.root(10 + 2*(2+32))
}

// sealTurn opens an epoch; kem is the number of KEM objects: 0, or 2 for an
// answer and an advertised key.
func (f *floor) sealTurn(wire, kem int) func() {
	seal := f.sealStream(wire)
	return func() {
		if kem == 0 {
			f.prepare()
			seal()
			return
		}
		f.newKey()
		f.agree(f.theirs.PublicKey())
		f.kem768.EncapsulationKey().Encapsulate()
		must(mlkem.GenerateKey768()).EncapsulationKey().Bytes()
		f.root(10 + 2*(2+32) + 4 + 1088 + 1184)
		f.objects(1088 + 1184)
		seal()
	}
}

func (f *floor) openTurn(wire, kem int) func() {
	open := f.openStream(wire)
	return func() {
		f.agree(f.lift())
		if kem == 0 {
			f.root(10 + 2*(2+32))
			open()
			return
		}
		must(f.kem768.Decapsulate(f.answer768))
		must(mlkem.NewEncapsulationKey768(f.kem768.EncapsulationKey().Bytes()))
		f.root(10 + 2*(2+32) + 4 + 1088 + 1184)
		f.objects(1088 + 1184)
		open()
	}
}

// decode is what a stored session in the sending role must compute: the hash
// that ties it to its devices, and the public half of its ratchet key.
func (f *floor) decode() {
	sha512.Sum384(make([]byte, 2*f.context+21))
	must(ecdh.P256().NewPrivateKey(f.mine.Bytes()))
}
