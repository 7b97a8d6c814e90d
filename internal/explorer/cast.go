package explorer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"fmt"
	"io"

	"filippo.io/mldsa"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// Devices 0 and 1 belong to the first person, 2 and 3 to the second.
const maxDevices = 4

// names are what traces call the devices.
var names = [maxDevices]string{"A1", "A2", "B1", "B2"}

func person(device int) int { return device / 2 }

// Halves of an identity key, as a mask.
const (
	halfECDSA = 1 << iota
	halfMLDSA

	bothHalves = halfECDSA | halfMLDSA
)

// cast are the devices of a scene with their signing keys.
type cast struct {
	suite account.Suite
	// identities by device and by the halves that the holder of the name really
	// has. Index bothHalves is the device itself; the others are thieves who
	// own a part of its key and sign with some other key in the place of the rest.
	identities [maxDevices][bothHalves + 1]*pq3.Identity
	keys       [maxDevices]*account.SigningKey
}

func newCast(suite account.Suite) *cast {
	c := &cast{suite: suite}
	for d := range maxDevices {
		seeds := seedsOf(names[d])
		party := account.Party{Account: sha512.Sum384([]byte{byte(person(d))}), Device: &account.Device{
			Suites: []account.Suite{suite}, CreatedAt: uint64(pq3test.Now.UnixMilli())}}
		pq3test.NewEntropy("device id of " + names[d]).Read(party.Device.ID[:])
		c.keys[d] = signingKey(seeds, seeds, bothHalves)
		party.Device.Key = c.keys[d].Public()
		for mask := halfECDSA; mask <= bothHalves; mask++ {
			id, err := pq3.NewIdentity(party, signingKey(seeds, seedsOf("thief of "+names[d]), mask))
			if err != nil {
				panic(err) // the public halves are the device's own
			}
			c.identities[d][mask] = id
		}
	}
	return c
}

func (c *cast) identity(device int) *pq3.Identity { return c.identities[device][bothHalves] }

func (c *cast) party(device int) account.Party { return c.identity(device).Party() }

func seedsOf(name string) account.KeySeeds {
	_, seeds := account.GenerateSigningKey(pq3test.NewEntropy("keys of " + name).Read)
	return seeds
}

// signingKey shows the public halves of real and signs with those of its
// private halves that mask names, with other's elsewhere.
func signingKey(real, other account.KeySeeds, mask int) *account.SigningKey {
	classical, quantum := real.ECDSA, real.MLDSA
	if mask&halfECDSA == 0 {
		classical = other.ECDSA
	}
	if mask&halfMLDSA == 0 {
		quantum = other.MLDSA
	}
	key, err := account.NewSigningKey(
		liar{ecdsaKey(real.ECDSA[:]).Public(), ecdsaKey(classical[:])},
		quantumLiar{liar{mldsaKey(real.MLDSA[:]).Public(), mldsaKey(quantum[:])}, mldsaKey(quantum[:])})
	if err != nil {
		panic(err) // both are keys of the right kind
	}
	return key
}

// liar claims one public key and signs with another private one.
type liar struct {
	claimed crypto.PublicKey
	crypto.Signer
}

func (l liar) Public() crypto.PublicKey { return l.claimed }

// quantumLiar is a liar that can sign without randomness.
type quantumLiar struct {
	liar
	key *mldsa.PrivateKey
}

func (l quantumLiar) SignDeterministic(message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.key.SignDeterministic(message, opts)
}

func ecdsaKey(scalar []byte) *ecdsa.PrivateKey {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		panic(err) // drawn by GenerateSigningKey
	}
	return key
}

func mldsaKey(seed []byte) *mldsa.PrivateKey {
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed)
	if err != nil {
		panic(err) // 32 bytes are always accepted
	}
	return key
}

// recorder is the entropy of one call. It keeps every seed that it hands out.
type recorder struct {
	stream        *pq3test.Entropy
	scalars       [][]byte // 32 bytes, P-256
	seeds         [][]byte // 64 bytes, ML-KEM
	encapsulated  [][]byte // shared secrets
	nothingToHide io.Reader
	forger        bool // the call is an attacker's own
}

func newRecorder(name string) *recorder { return &recorder{stream: pq3test.NewEntropy(name)} }

// Read implements pq3.Entropy.
func (r *recorder) Read(p []byte) {
	r.stream.Read(p)
	kept := append([]byte(nil), p...)
	switch len(p) {
	case 32:
		r.scalars = append(r.scalars, kept)
	case 64:
		r.seeds = append(r.seeds, kept)
	default:
		panic(fmt.Sprintf("explorer: a draw of %d bytes that no rule of SPEC §3.4 asks for", len(p)))
	}
}

// Encapsulate implements pq3.Entropy.
func (r *recorder) Encapsulate(ek crypto.Encapsulator) (sharedSecret, ciphertext []byte) {
	sharedSecret, ciphertext = r.stream.Encapsulate(ek)
	r.encapsulated = append(r.encapsulated, sharedSecret)
	return sharedSecret, ciphertext
}

// SignReader implements pq3.Entropy: signatures are deterministic.
func (r *recorder) SignReader() io.Reader { return r.nothingToHide }

// offer is a prekey bundle with the private half that belongs to it.
type offer struct {
	*pq3.Prekey
	name offerName
	ecdh *term
	kem  *term
}

// newOffer makes a bundle of a device, or a forger's in its name.
func (l *lab) newOffer(n offerName) *offer {
	rec := newRecorder(fmt.Sprintf("offer %+v", n))
	prekey, err := pq3.NewPrekey(l.cast.identities[n.owner][n.halves], l.Suite, n.at.time(), n.at.time().Add(pq3.BundleLife), rec)
	if err != nil {
		panic(err) // every field is in range
	}
	what := fmt.Sprintf("of %s's bundle %d", names[n.owner], n.generation)
	if n.forged {
		what = "of a forged bundle in the name of " + names[n.owner]
	}
	return &offer{Prekey: prekey, name: n,
		ecdh: l.terms.of(ratchetPrivate, "the ECDH prekey "+what, rec.scalars[0]),
		kem:  l.terms.of(kemSeed, "the KEM prekey "+what, rec.seeds[0])}
}
