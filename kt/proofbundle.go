package kt

import (
	"bytes"

	"github.com/transparency-dev/formats/proof"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// Exported is the proof of what the log says about a name, as a file of the form
// C2SP tlog-proof: other tools see that the newest root is in the log, and this
// package what follows from it.
type Exported struct {
	Policy *Policy
	Name   account.Name
	Record *Record // nil: nobody has the name
	Answer *Answer
}

// Marshal gives the text of the file.
func (x *Exported) Marshal() ([]byte, error) {
	c, err := x.Policy.Checkpoint(x.Answer.Checkpoint)
	if err != nil {
		return nil, err
	}
	bare := *x.Answer
	bare.Checkpoint, bare.Consistency, bare.Inclusion = nil, nil, nil
	extra := codec.AppendV32(nil, x.Policy.Marshal())
	extra = codec.AppendV16(extra, []byte(x.Name))
	var record []byte
	if x.Record != nil {
		record = x.Record.Marshal()
	}
	extra = codec.AppendV16(extra, record)
	extra = codec.AppendV32(extra, bare.Marshal())
	return proof.TLogProof{Index: c.Size - 1, Hashes: x.Answer.Inclusion, Checkpoint: c.Note, ExtraData: extra}.Marshal(), nil
}

// ParseExported reads such a file strictly.
func ParseExported(text []byte) (*Exported, error) {
	refused := reject.New("V-180", ErrEncoding, "not a proof of what a log says about a name, or one that was changed")
	var p proof.TLogProof
	if len(text) > MaxEvidence || p.Unmarshal(text) != nil || len(p.Hashes) > maxHashes || len(p.Checkpoint) > MaxCheckpoint {
		return nil, refused
	}
	r := codec.NewReader(p.ExtraData)
	policy, name := r.V32(2*MaxPolicy), r.V16(account.MaxNameLen)
	record, answer := r.V16(4096), r.V32(MaxEvidence)
	if !r.Done() {
		return nil, refused
	}
	x := &Exported{}
	var err error
	if x.Policy, err = ParsePolicy(policy); err != nil {
		return nil, err
	}
	if x.Name, err = account.ParseName(string(name)); err != nil {
		return nil, refused
	}
	if len(record) > 0 {
		parsed, err := ParseRecord(record)
		if err != nil {
			return nil, err
		}
		x.Record = &parsed
	}
	if x.Answer, err = ParseAnswer(answer); err != nil {
		return nil, err
	}
	x.Answer.Checkpoint, x.Answer.Inclusion = p.Checkpoint, p.Hashes
	if again, err := x.Marshal(); err != nil || !bytes.Equal(again, text) {
		return nil, refused
	}
	return x, nil
}

// Verify checks what the file proves, as of the time of its newest signature.
func (x *Exported) Verify() (*Verified, error) {
	c, err := x.Policy.Checkpoint(x.Answer.Checkpoint)
	if err != nil {
		return nil, err
	}
	return x.Policy.Verify(x.Answer, x.Name, x.Record, Known{}, c.Newest)
}
