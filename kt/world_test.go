package kt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	cosign "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// refusedBy wants the refusal of one check.
func refusedBy(t *testing.T, check string, err error) {
	t.Helper()
	if r, ok := err.(*reject.Error); !ok || r.Check != check {
		t.Errorf("want a refusal by %s, got %v", check, err)
	}
}

const (
	testOrigin = "example.org/kt/roots"
	testStart  = 1_800_000_000 // Unix seconds
)

func testNow() time.Time { return time.Unix(testStart, 0) }

// notary is one name with an Ed25519 and an ML-DSA-44 key, as logs and witnesses
// have. The keys follow from the name.
type notary struct {
	name string
	ed   ed25519.PrivateKey
	ml   *mldsa.PrivateKey
	keys [2]string // verifier keys
	hash [2]uint32
}

func newNotary(name string, seed byte) *notary {
	n := &notary{name: name}
	sum := sha256.Sum256(append([]byte(name), seed))
	n.ed = ed25519.NewKeyFromSeed(sum[:])
	n.keys[0] = must(note.NewEd25519VerifierKey(name, n.ed.Public().(ed25519.PublicKey)))
	n.hash[0] = must(note.NewVerifier(n.keys[0])).KeyHash()
	n.ml = must(mldsa.NewPrivateKey(mldsa.MLDSA44(), sum[:]))
	public := append([]byte{keyMLDSA44}, n.ml.PublicKey().Bytes()...)
	digest := sha256.Sum256(append([]byte(name+"\n"), public...))
	n.hash[1] = binary.BigEndian.Uint32(digest[:])
	n.keys[1] = fmt.Sprintf("%s+%08x+%s", name, n.hash[1], base64.StdEncoding.EncodeToString(public))
	return n
}

func (n *notary) line(hash uint32, sig []byte) string {
	raw := append(binary.BigEndian.AppendUint32(nil, hash), sig...)
	return fmt.Sprintf("\u2014 %s %s\n", n.name, base64.StdEncoding.EncodeToString(raw))
}

func (n *notary) signEd(text string) string {
	return n.line(n.hash[0], ed25519.Sign(n.ed, []byte(text)))
}

// signML signs the C2SP message about a whole tree, without randomness.
func (n *notary) signML(size uint64, root [32]byte, at int64) string {
	m := append([]byte("subtree/v1\n\x00"), byte(len(n.name)))
	m = binary.BigEndian.AppendUint64(append(m, n.name...), uint64(at))
	m = append(append(m, byte(len(testOrigin))), testOrigin...)
	m = binary.BigEndian.AppendUint64(append(m, make([]byte, 8)...), size)
	sig := must(n.ml.SignDeterministic(append(m, root[:]...), nil))
	return n.line(n.hash[1], append(binary.BigEndian.AppendUint64(nil, uint64(at)), sig...))
}

// cosignEd is the cosignature of a witness with the key that has a time.
func (n *notary) cosignEd(text string, at int64) string {
	key := must(cosign.VKeyToCosignatureV1(n.keys[0]))
	sig := ed25519.Sign(n.ed, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))
	v := must(cosign.NewVerifierForCosignatureV1(key))
	return n.line(v.KeyHash(), append(binary.BigEndian.AppendUint64(nil, uint64(at)), sig...))
}

// testLog is a log in memory, made with the code of this package where it has
// any, and with the words of RFC 6962 for R.
type testLog struct {
	log, one, two *notary
	vrf           *VRFKey
	policy        *Policy
	replay        *Replay
	roots         [][]byte // entries of R
	last          Root
	at            int64     // of signatures, Unix seconds
	more          []*notary // witnesses that were added later
	gone          bool      // the first two no longer sign
	history       map[account.Name][]Commitment
	values        map[account.Name][]Value
}

func policyText(l *testLog) []byte {
	return PlainPolicy(fmt.Appendf(nil, `# the keys of the log
log %s
log %s

witness one  %s https://one.example/
witness two %s https://two.example/
group both 2 one two
quorum both
`, l.log.keys[0], l.log.keys[1], l.one.keys[0], l.two.keys[1]))
}

func newLog(seed byte) *testLog {
	l := &testLog{
		log: newNotary(testOrigin, seed), one: newNotary("one.example", seed), two: newNotary("two.example", seed),
		replay: NewReplay(), at: testStart, history: map[account.Name][]Commitment{}, values: map[account.Name][]Value{},
	}
	l.vrf = must(NewVRFKey(sha256.Sum256([]byte{seed, 'v'})))
	text := policyText(l)
	config := Config{VRF: l.vrf.Public(), Policy: sha256.Sum256(text)}
	l.policy = must(NewPolicy(text, config))
	l.roots = [][]byte{config.Marshal()}
	l.epoch()
	return l
}

// opening of a version, fixed so that runs repeat.
func opening(name account.Name, version int) Opening {
	sum := sha256.Sum256(fmt.Append(nil, name, version))
	return Opening(sum[:16])
}

// publish adds a version of a name without a root.
func (l *testLog) publish(r Record) {
	version := len(l.history[r.Name])
	index, _ := l.vrf.Prove(r.Name)
	c := Commit(opening(r.Name, version), uint32(version), r)
	if err := l.replay.Add(Update{index, uint32(version), c}); err != nil {
		panic(err)
	}
	value := must2(l.replay.Label(index)).Value
	l.history[r.Name] = append(l.history[r.Name], c)
	l.values[r.Name] = append(l.values[r.Name], value)
}

func must2[T any](v T, ok bool) T {
	if !ok {
		panic("not there")
	}
	return v
}

// epoch adds the root of what was published so far.
func (l *testLog) epoch() {
	standing := l.last.Standing
	l.last = must(l.replay.Root(uint64(l.at) * 1000))
	l.last.Standing = standing
	l.roots = append(l.roots, l.last.Marshal())
}

func (l *testLog) root(size int) [32]byte { return treeRoot(l.roots[:size]) }

// checkpoint is signed by the log and both witnesses.
func (l *testLog) checkpoint(size int) []byte {
	root := l.root(size)
	text := headText(testOrigin, uint64(size), root)
	signed := text + "\n" + l.log.signEd(text) + l.log.signML(uint64(size), root, l.at)
	if !l.gone {
		signed += l.one.cosignEd(text, l.at) + l.two.signML(uint64(size), root, l.at)
	}
	for _, w := range l.more {
		signed += w.cosignEd(text, l.at)
	}
	return []byte(signed)
}

// answer is what an honest server says to who knows so much.
func (l *testLog) answer(name account.Name, known Known) *Answer {
	size := len(l.roots)
	a := &Answer{Checkpoint: l.checkpoint(size), Root: l.last, Inclusion: inclusion(l.roots, size-1)}
	if known.Size > 0 && known.Size < uint64(size) {
		a.Consistency = consistency(l.roots, int(known.Size))
	}
	index, proof := l.vrf.Prove(name)
	a.VRFProof, a.Map = proof, l.replay.Map().Prove(index)
	if versions := l.history[name]; len(versions) > 0 {
		newest := len(versions) - 1
		a.Present = &Present{Version: uint32(newest), Opening: opening(name, newest)}
		if newest > 0 {
			a.Present.Before = l.values[name][newest-1]
		}
		if known.Label != nil && int(known.Label.Version)+1 < newest {
			a.Present.Later = versions[known.Label.Version+1 : newest]
		}
	}
	return a
}

// The tree of RFC 6962, section 2.1, word by word.
func treeRoot(leaves [][]byte) [32]byte {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := below(n)
		left, right := treeRoot(leaves[:k]), treeRoot(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
}

// below is the largest power of two smaller than n.
func below(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func inclusion(leaves [][]byte, m int) [][32]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := below(len(leaves))
	if m < k {
		return append(inclusion(leaves[:k], m), treeRoot(leaves[k:]))
	}
	return append(inclusion(leaves[k:], m-k), treeRoot(leaves[:k]))
}

func consistency(leaves [][]byte, m int) [][32]byte { return subproof(leaves, m, true) }

func subproof(leaves [][]byte, m int, whole bool) [][32]byte {
	if m == len(leaves) {
		if whole {
			return nil
		}
		return [][32]byte{treeRoot(leaves)}
	}
	k := below(len(leaves))
	if m <= k {
		return append(subproof(leaves[:k], m, whole), treeRoot(leaves[k:]))
	}
	return append(subproof(leaves[k:], m-k, false), treeRoot(leaves[:k]))
}

// record is some account's state under a name.
func record(name string, seq uint64) Record {
	r := Record{Name: account.Name(name), Seq: seq}
	copy(r.Account[:], strings.Repeat(name, 48))
	r.Head[0] = byte(seq)
	return r
}
