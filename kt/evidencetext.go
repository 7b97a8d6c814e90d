package kt

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	evidenceHeader = "posthorn.evidence/1"

	// MaxEvidence is the length of the longest file of evidence, in bytes.
	MaxEvidence = 8 << 20
)

// Marshal gives the text of the evidence: lines of a key and a value, then the
// signed notes as they are.
func (e *Evidence) Marshal() []byte {
	b := &bytes.Buffer{}
	fmt.Fprintf(b, "%s\nkind: %s\nat: %d\ncheck: %s\npolicy: %s\n", evidenceHeader, e.Kind, e.At, e.Check, base64Of(e.Policy.Marshal()))
	if e.byNotes() {
		for _, h := range e.Proof {
			fmt.Fprintf(b, "proof: %s\n", base64Of(h[:]))
		}
		if e.Kind == KindAudit {
			fmt.Fprintf(b, "epoch: %s\n--- note 1\n%s--- end\n", base64Of(e.Step.Marshal()), e.Notes[0])
			return b.Bytes()
		}
		if e.Kind == KindPolicy {
			for _, c := range e.Changes {
				fmt.Fprintf(b, "change: %s\n", base64Of(c.Marshal()))
			}
			fmt.Fprintf(b, "--- note 1\n%s--- end\n", e.Notes[0])
			return b.Bytes()
		}
		fmt.Fprintf(b, "--- note 1\n%s--- note 2\n%s--- end\n", e.Notes[0], e.Notes[1])
		return b.Bytes()
	}
	fmt.Fprintf(b, "name: %s\n", e.Name)
	if e.Record != nil {
		fmt.Fprintf(b, "record: %s\n", base64Of(e.Record.Marshal()))
	}
	fmt.Fprintf(b, "known: %d %x", e.Known.Size, e.Known.Root)
	if l := e.Known.Label; l != nil {
		fmt.Fprintf(b, " %d %x", l.Version, l.Value)
	}
	fmt.Fprintf(b, "\nanswer: %s\n", base64Of(e.Answer.Marshal()))
	if e.Kind == KindRoster {
		for key, chain := range e.statements() {
			for _, s := range *chain {
				fmt.Fprintf(b, "%s: %s\n", key, base64Of(s))
			}
		}
	}
	b.WriteString("--- end\n")
	return b.Bytes()
}

// statements are the lists of KindRoster with their keys, in the order of the text.
func (e *Evidence) statements() iter.Seq2[string, *[][]byte] {
	return func(yield func(string, *[][]byte) bool) {
		_ = yield("shared", &e.Shared) && yield("one", &e.Chains[0]) && yield("two", &e.Chains[1])
	}
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// ParseEvidence reads the text strictly.
func ParseEvidence(text []byte) (*Evidence, error) {
	e := &Evidence{}
	if len(text) > MaxEvidence || !e.read(string(text)) || !bytes.Equal(e.Marshal(), text) {
		return nil, reject.New("V-180", ErrEncoding, "not a file of evidence, or one that was changed")
	}
	return e, nil
}

// read fills in what the text has. What it leaves out or reads too kindly shows
// when the result is written again.
func (e *Evidence) read(text string) bool {
	front, rest, found := strings.Cut(text, "\n--- ")
	if !found {
		return false
	}
	for line := range strings.Lines(front + "\n") {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !e.field(key, value) {
			return false
		}
	}
	if !e.byNotes() {
		return e.Policy != nil && e.Answer != nil && (e.Kind == KindAnswer || e.Kind == KindRecord || e.Kind == KindRoster)
	}
	rest, _, ended := strings.Cut(strings.TrimPrefix(rest, "note 1\n"), "--- end\n")
	one, two, found := strings.Cut(rest, "--- note 2\n")
	e.Notes = [2][]byte{[]byte(one)}
	if e.Kind == KindAudit || e.Kind == KindPolicy {
		return e.Policy != nil && ended && !found && (e.Step != nil) == (e.Kind == KindAudit)
	}
	e.Notes[1] = []byte(two)
	return e.Policy != nil && found && ended
}

// byNotes reports whether it is signed notes that this evidence shows.
func (e *Evidence) byNotes() bool {
	return e.Kind == KindFork || e.Kind == KindRollback || e.Kind == KindAudit || e.Kind == KindPolicy
}

func (e *Evidence) field(key, value string) (ok bool) {
	var err error
	switch key {
	case evidenceHeader:
	case "kind":
		e.Kind = value
	case "at":
		e.At, err = strconv.ParseUint(value, 10, 64)
	case "check":
		e.Check = value
	case "name":
		e.Name, err = account.ParseName(value)
	case "known":
		return e.Known.read(strings.Split(value, " "))
	default:
		var raw []byte
		if raw, err = base64.StdEncoding.DecodeString(value); err == nil {
			err = e.binary(key, raw)
		}
	}
	return err == nil
}

func (e *Evidence) binary(key string, raw []byte) (err error) {
	switch {
	case key == "policy":
		e.Policy, err = ParsePolicy(raw)
	case key == "record":
		var r Record
		r, err = ParseRecord(raw)
		e.Record = &r
	case key == "epoch":
		e.Step, err = ParseStep(raw)
	case key == "change":
		var c *Change
		c, err = ParseChange(raw)
		e.Changes = append(e.Changes, c)
	case key == "answer":
		e.Answer, err = ParseAnswer(raw)
	case key == "proof" && len(raw) == 32 && len(e.Proof) < maxHashes:
		e.Proof = append(e.Proof, [32]byte(raw))
	default:
		for name, chain := range e.statements() {
			if name == key && e.Kind == KindRoster {
				*chain = append(*chain, raw)
				return nil
			}
		}
		err = ErrEncoding
	}
	return err
}

func (k *Known) read(words []string) bool {
	if len(words) != 2 && len(words) != 4 {
		return false
	}
	size, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil || !fill(k.Root[:], words[1]) {
		return false
	}
	k.Size = size
	if len(words) == 2 {
		return true
	}
	version, err := strconv.ParseUint(words[2], 10, 32)
	k.Label = &Label{Version: uint32(version)}
	return err == nil && fill(k.Label.Value[:], words[3])
}

// fill reads hexadecimal digits of exactly the length of dst.
func fill(dst []byte, digits string) bool {
	raw, err := hex.DecodeString(digits)
	return err == nil && copy(dst, raw) == len(dst) && len(raw) == len(dst)
}
