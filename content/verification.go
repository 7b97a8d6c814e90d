package content

import (
	"errors"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// MaxVerificationStep is the length of the longest step of a verification, in
// bytes.
const MaxVerificationStep = 512

// ErrVerification: a step that no run of a verification has.
var ErrVerification = errors.New("content: a verification has four steps of 1 to 512 bytes")

// Verification is one step of a comparison of short codes (SPEC §13.4). What
// the step says is opaque here.
type Verification struct {
	Run  [16]byte // the same in all four steps, drawn by the starter
	Step uint8    // 1 and 3 from the starter, 2 and 4 from the responder
	Data []byte
}

func (Verification) kind() kind { return kindVerification }

func (v Verification) appendTo(dst []byte) ([]byte, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	dst = append(append(dst, v.Run[:]...), v.Step)
	return codec.AppendV16(dst, v.Data), nil
}

func (v Verification) check() error {
	if v.Step < 1 || v.Step > 4 || len(v.Data) == 0 || len(v.Data) > MaxVerificationStep {
		return reject.New("V-252", ErrVerification, "")
	}
	return nil
}

func readVerification(r *codec.Reader) (Body, error) {
	var v Verification
	r.Copy(v.Run[:])
	v.Step = r.U8()
	v.Data = append(v.Data, r.V16(MaxVerificationStep)...)
	if r.Failed() {
		return nil, reject.New("V-70", ErrMalformed, "truncated step of a verification")
	}
	return v, v.check()
}
