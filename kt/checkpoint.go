package kt

import (
	"fmt"
	"slices"
	"time"

	tlog "github.com/transparency-dev/formats/log"
	cosign "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/internal/reject"
)

// Checkpoint is a checkpoint of R that the log and enough witnesses have signed.
type Checkpoint struct {
	Size      uint64
	Root      [32]byte
	Head      Head      // what other devices are told
	Newest    time.Time // when the quorum had signed; the log itself, if no witness signed
	Witnesses []string  // the names of those who signed, in the policy's order
	Note      []byte    // as signed

	by *Policy // that opened the note; nil: none has
}

// Checkpoint opens a signed note of R: its origin, both signatures of the log,
// and the quorum of witnesses. It does not check how old it is.
func (p *Policy) Checkpoint(signed []byte) (*Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return nil, reject.New("V-182", ErrSignature, "the checkpoint is too long")
	}
	known := append([]note.Verifier{p.log[0], p.log[1]}, p.others...)
	cp, rest, n, err := tlog.ParseCheckpoint(signed, p.origin, p.log[0], known[1:]...)
	if err != nil || len(cp.Hash) != 32 || len(rest) != 0 || n.Text != headText(p.origin, cp.Size, [32]byte(cp.Hash)) {
		return nil, reject.New("V-182", ErrSignature, "no checkpoint of this log with its Ed25519 signature")
	}
	by := signatures(n)
	if _, signed := by[keyOf(p.log[1])]; !signed {
		return nil, reject.New("V-182", ErrSignature, "the signature with ML-DSA-44 is missing")
	}
	if !reached(p.quorum, by, signed) {
		return nil, reject.New("V-183", ErrWitness, "the quorum of the policy is not reached")
	}
	c := &Checkpoint{Size: cp.Size, Root: [32]byte(cp.Hash), Note: append([]byte(nil), signed...), by: p}
	c.Head = headOf(c, by[keyOf(p.log[0])])
	p.date(c, n.Text, by)
	return c, nil
}

// Policy is the one that has opened the checkpoint.
func (c *Checkpoint) Policy() *Policy { return c.by }

// reached reports whether enough members of a group have signed: one whose
// signature was verified already is not verified again.
func reached(g witness.Group, by map[key]note.Signature, signed []byte) bool {
	n := 0
	for _, member := range g.Components {
		has := false
		switch m := member.(type) {
		case witness.Witness:
			_, has = by[keyOf(m.Key)]
		case witness.Group:
			has = reached(m, by, signed)
		default:
			has = member.Satisfied(signed)
		}
		if has {
			n++
		}
	}
	return n >= g.N
}

// date fills in who signed and when.
func (p *Policy) date(c *Checkpoint, text string, by map[key]note.Signature) {
	var signed []dated
	for i, v := range p.others {
		sig, there := by[keyOf(v)]
		if !there {
			continue
		}
		c.Witnesses = append(c.Witnesses, p.names[i])
		if at, err := cosign.CoSigV1Timestamp(sig); err == nil {
			signed = append(signed, dated{at, sig})
		}
	}
	if len(signed) == 0 {
		c.Newest, _ = cosign.CoSigV1Timestamp(by[keyOf(p.log[1])])
		return
	}
	slices.SortStableFunc(signed, func(a, b dated) int { return b.at.Compare(a.at) })
	c.Newest = p.reached(text, signed)
}

// dated is a signature of a witness with its time.
type dated struct {
	at  time.Time
	sig note.Signature
}

// reached is when the policy's quorum had signed: the latest time that has a
// quorum of signatures from then on. The newest signature alone may be of a
// witness that the policy would not rely on without others, and would let it keep
// an old checkpoint fresh. They come with the newest first.
func (p *Policy) reached(text string, signed []dated) time.Time {
	newest, oldest := signed[0].at, signed[len(signed)-1].at
	if newest.Sub(oldest) < WarnAge/2 {
		return oldest // made for each other, as they are when all goes well
	}
	bare := []byte(text + "\n")
	for _, d := range signed {
		if bare = fmt.Appendf(bare, "\u2014 %s %s\n", d.sig.Name, d.sig.Base64); p.quorum.Satisfied(bare) {
			return d.at
		}
	}
	return oldest
}

// signedAt is when the log signed a note, by its own word: the time in its
// signature with ML-DSA-44. V-192 if there is none.
func (p *Policy) signedAt(signed []byte) (time.Time, error) {
	n, err := note.Open(signed, note.VerifierList(p.log[1]))
	if err != nil {
		return time.Time{}, reject.New("V-192", ErrEvidence, "a note without the log's signature with ML-DSA-44")
	}
	at, err := cosign.CoSigV1Timestamp(n.Sigs[0])
	if err != nil {
		return time.Time{}, reject.New("V-192", ErrEvidence, "a signature with ML-DSA-44 without a time")
	}
	return at, nil
}

// Fresh refuses a checkpoint whose newest signature is more than MaxAge from
// now, in either direction: one from the future would be fresh for ever.
func (c *Checkpoint) Fresh(now time.Time) error {
	if age := now.Sub(c.Newest).Abs(); age > MaxAge {
		return reject.New("V-184", ErrStale, fmt.Sprintf("its newest signature is %d hours from the time of this machine", int(age.Hours())))
	}
	return nil
}

// key names a signature's key as notes do.
type key struct {
	name string
	hash uint32
}

func keyOf(v note.Verifier) key { return key{v.Name(), v.KeyHash()} }

// signatures are the verified signatures of a note.
func signatures(n *note.Note) map[key]note.Signature {
	by := map[key]note.Signature{}
	for _, s := range n.Sigs {
		by[key{s.Name, s.Hash}] = s
	}
	return by
}

// Follows checks that a checkpoint continues an earlier one, of which size and
// root are known. Size 0 is continued by everything.
func (c *Checkpoint) Follows(size uint64, root [32]byte, consistency [][32]byte) error {
	switch {
	case c.Size < size:
		return reject.New("V-185", ErrRollback, "fewer entries than were seen before")
	case c.Size == size && c.Root != root:
		return reject.New("V-186", ErrFork, "two different logs of one size")
	case c.Size == size || size == 0:
		return nil
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, c.Size, hashSlices(consistency), root[:], c.Root[:])
	if err != nil {
		return reject.New("V-186", ErrFork, "it does not continue the log as it was seen before")
	}
	return nil
}

// Includes checks that an entry stands in R at a number.
func (c *Checkpoint) Includes(entry []byte, number uint64, inclusion [][32]byte) error {
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, number, c.Size, leaf, hashSlices(inclusion), c.Root[:])
	if err != nil {
		return reject.New("V-187", ErrInclusion, "the entry is not at its place under the checkpoint")
	}
	return nil
}

func hashSlices(hashes [][32]byte) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}
