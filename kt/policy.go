package kt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	tlog "github.com/transparency-dev/formats/log"
	cosign "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// WarnAge is how old the newest signature with a time may be before a user
	// is told.
	WarnAge = time.Hour
	// MaxAge is how old it may be before nothing is believed any more.
	MaxAge = 24 * time.Hour

	// MaxPolicy is the length of the longest policy, in bytes.
	MaxPolicy = 64 << 10
	// MaxPolicies is the number of the last policy that a log can go on to.
	MaxPolicies = 1000
)

// The kinds of keys, as the first byte of a C2SP verifier key.
const (
	keyEd25519 = 1
	keyMLDSA44 = 6
)

// Policy is whom a device relies on about the log: its two keys, the key that
// hides names, and which witnesses must have signed. It is immutable.
type Policy struct {
	text   []byte
	config Config
	origin string
	log    [2]note.Verifier // Ed25519, ML-DSA-44
	keys   [2]string        // the same as text
	quorum witness.Group
	others []note.Verifier // of the witnesses
	names  []string

	standing Standing // zero: the log began with it
	before   Standing // of the policy that it followed
}

// PlainPolicy gives the one form of a C2SP tlog-policy file that devices keep and
// that the log commits to: no comments, single spaces, and "-" in place of the
// addresses of witnesses, which are the operator's affair.
func PlainPolicy(text []byte) []byte {
	var out []byte
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "witness" && len(fields) >= 3 {
			fields = append(fields[:3:3], "-")
		}
		out = append(out, strings.Join(fields, " ")+"\n"...)
	}
	return out
}

// NewPolicy reads a policy in its plain form: two lines "log KEY", Ed25519 and
// ML-DSA-44 of one name, which is the origin of R; witnesses, groups and a
// quorum. The config is the first entry of R and names this very text.
func NewPolicy(text []byte, config Config) (*Policy, error) {
	if sha256.Sum256(text) != config.Policy {
		return nil, reject.New("V-181", ErrPolicy, "the log began with another policy")
	}
	return readPolicy(text, config)
}

func readPolicy(text []byte, config Config) (*Policy, error) {
	if len(text) > MaxPolicy || !bytes.Equal(PlainPolicy(text), text) {
		return nil, reject.New("V-181", ErrPolicy, "the text is too long or not in its plain form")
	}
	p := &Policy{text: bytes.Clone(text), config: config}
	for line := range strings.Lines(string(text)) {
		if err := p.take(strings.Fields(line)); err != nil {
			return nil, err
		}
	}
	if p.log[0] == nil || p.log[1] == nil || p.log[0].Name() != p.log[1].Name() {
		return nil, reject.New("V-181", ErrPolicy, "the log has not one Ed25519 and one ML-DSA-44 key of one name")
	}
	quorum, err := witness.ParsePolicy(text)
	if err != nil {
		return nil, reject.New("V-181", ErrPolicy, "the witnesses, groups and quorum do not make a policy")
	}
	p.origin, p.quorum = p.log[0].Name(), quorum
	return p, nil
}

// take reads a line about a key.
func (p *Policy) take(fields []string) error {
	if fields[0] == "log" && len(fields) == 2 {
		return p.takeLogKey(fields[1])
	}
	if fields[0] != "witness" || len(fields) != 4 {
		return nil
	}
	v, err := cosign.NewVerifierForCosignatureV1(fields[2])
	if err != nil {
		return reject.New("V-181", ErrPolicy, "the key of a witness is not usable")
	}
	p.others, p.names = append(p.others, v), append(p.names, fields[1])
	return nil
}

func (p *Policy) takeLogKey(vkey string) error {
	var v note.Verifier
	kind, err := keyKind(vkey)
	switch kind {
	case keyEd25519:
		v, err = note.NewVerifier(vkey)
	case keyMLDSA44:
		v, err = cosign.NewVerifierForCosignatureV1(vkey)
	}
	slot := int(kind) / keyMLDSA44
	if err != nil || v == nil || p.log[slot] != nil {
		return reject.New("V-181", ErrPolicy, "a key of the log is not usable, or there are two of a kind")
	}
	p.log[slot], p.keys[slot] = v, vkey
	return nil
}

func keyKind(vkey string) (byte, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return 0, reject.New("V-181", ErrPolicy, "not a verifier key")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) == 0 {
		return 0, reject.New("V-181", ErrPolicy, "not a verifier key")
	}
	return raw[0], nil
}

// Origin is the name of R, the first line of its checkpoints.
func (p *Policy) Origin() string { return p.origin }

// Config is the first entry of R.
func (p *Policy) Config() Config { return p.config }

// LogKeys are the log's verifier keys, Ed25519 first, as notes write them.
func (p *Policy) LogKeys() []string { return append([]string(nil), p.keys[:]...) }

// Witnesses are the names of all witnesses that the policy knows.
func (p *Policy) Witnesses() []string { return append([]string(nil), p.names...) }

// Text is the policy in its plain form.
func (p *Policy) Text() []byte { return bytes.Clone(p.text) }

// Standing is what the entries of R name the policy by.
func (p *Policy) Standing() Standing { return p.standing }

// Next is the policy with a text that follows this one: of the same log, with the
// same keys. Whether the log holds it is not looked at: Follow. Error: ErrChange.
func (p *Policy) Next(text []byte) (*Policy, error) {
	next, err := readPolicy(text, p.config)
	if err != nil {
		return nil, reject.New("V-282", ErrChange, "the text is not a usable policy in its plain form")
	}
	if next.keys != p.keys {
		return nil, reject.New("V-282", ErrChange, "it has other keys of the log; those never change")
	}
	if p.standing.Number == MaxPolicies {
		return nil, reject.New("V-282", ErrChange, "a log has no more policies than it had")
	}
	next.before, next.standing = p.standing, p.standing.next(p.config, text)
	return next, nil
}

// Signed is the size and root of a note of R by the log's Ed25519 signature alone:
// enough to find the policy by which to open it, and for nothing else.
func (p *Policy) Signed(signed []byte) (size uint64, root [32]byte, err error) {
	cp, _, _, err := tlog.ParseCheckpoint(signed, p.origin, p.log[0])
	if err != nil || len(cp.Hash) != len(root) {
		return 0, root, reject.New("V-182", ErrSignature, "no checkpoint of this log with its Ed25519 signature")
	}
	return cp.Size, [32]byte(cp.Hash), nil
}

// Marshal gives the one encoding: the config and the text; of a policy that
// followed another its number and the end of the chain before it, too.
func (p *Policy) Marshal() []byte {
	b := codec.AppendV32(p.config.Marshal(), p.text)
	if p.standing.Number == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, p.standing.Number)
	return append(b, p.before.Chain[:]...)
}

// ParsePolicy reads what Marshal wrote.
func ParsePolicy(raw []byte) (*Policy, error) {
	r := codec.NewReader(raw)
	config, err := ParseConfig(r.Bytes(configSize))
	if err != nil {
		return nil, err
	}
	text := r.V32(MaxPolicy)
	if !r.Failed() && r.Len() == 0 {
		return NewPolicy(text, config)
	}
	var before Standing
	before.Number = r.U32() - 1
	r.Copy(before.Chain[:])
	if !r.Done() || before.Number >= MaxPolicies || before.Number == 0 && before.Chain != [32]byte{} {
		return nil, reject.New("V-180", ErrEncoding, "a policy is cut off or too long")
	}
	p, err := readPolicy(text, config)
	if err != nil {
		return nil, err
	}
	p.before, p.standing = before, before.next(config, text)
	return p, nil
}
