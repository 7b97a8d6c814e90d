package account

import (
	"io"
	"slices"

	"github.com/posthorn/posthorn/internal/reject"
)

// Author signs a statement: a device of the roster, or the recovery key when
// Device is nil.
type Author struct {
	Device *DeviceID
	Key    *SigningKey
}

// Propose builds, signs and checks the next statement. added holds the signing
// keys of the devices that the operations add, in order; an added device that
// lives elsewhere signs there, so linking uses ProposeBody first.
func (r *Roster) Propose(author Author, added []*SigningKey, at uint64, rand io.Reader, ops ...Operation) (*Statement, error) {
	s, err := r.draft(author, at, ops)
	if err != nil {
		return nil, err
	}
	if s, err = s.sign(author.Key, added, rand); err != nil {
		return nil, err
	}
	if _, err := r.Apply(s); err != nil {
		return nil, err
	}
	return s, nil
}

// ProposeBody returns the body that the author and every added device sign with
// SignBody, for devices that are not on this machine.
func (r *Roster) ProposeBody(author Author, at uint64, ops ...Operation) ([]byte, error) {
	s, err := r.draft(author, at, ops)
	if err != nil {
		return nil, err
	}
	return s.encodeBody(), nil
}

// AdditionBody is the body that adds one device at a place in an account's
// chain, as ProposeBody returns it to an author who has the roster. The device
// itself does not have it yet, and signs what it has built from the place alone.
func AdditionBody(id ID, seq uint64, prev [48]byte, at uint64, dev *Device) ([]byte, error) {
	if err := dev.check(); err != nil {
		return nil, err
	}
	s := &Statement{account: id, seq: seq, prev: prev, at: at, ops: []Operation{AddDevice{dev}}}
	return s.encodeBody(), nil
}

// SignBody is an added device's signature over a proposed body.
//
// formal: sig-statement
func SignBody(key *SigningKey, body []byte, rand io.Reader) (*Signature, error) {
	return key.SignHybrid(rand, signedBody(body), statementContext)
}

// Assemble joins a proposed body with the signatures collected for it and
// checks the result against the roster.
func (r *Roster) Assemble(author Author, body []byte, sig *Signature, added []Signature) (*Statement, error) {
	s := &Statement{body: body, kind: signedByRecovery, sig: *sig, added: added}
	if author.Device != nil {
		s.kind, s.device = signedByDevice, *author.Device
	}
	if err := s.parseBody(); err != nil {
		return nil, err
	}
	if _, err := r.Apply(s); err != nil {
		return nil, err
	}
	return s, nil
}

func (r *Roster) draft(author Author, at uint64, ops []Operation) (*Statement, error) {
	if len(ops) == 0 || len(ops) > maxOperations {
		return nil, reject.New("V-18", ErrStatement, "a statement has 1 to 16 operations")
	}
	for _, op := range ops {
		if err := checkOperation(op); err != nil {
			return nil, err
		}
	}
	s := &Statement{account: r.id, seq: r.seq + 1, prev: r.head, at: at, ops: slices.Clone(ops), kind: signedByRecovery}
	if author.Device != nil {
		s.kind, s.device = signedByDevice, *author.Device
	}
	return s, nil
}
