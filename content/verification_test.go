package content

import (
	"errors"
	"testing"
)

func TestV252StepThatNoVerificationHas(t *testing.T) {
	for _, v := range []Verification{
		{Step: 0, Data: []byte{1}}, {Step: 5, Data: []byte{1}}, {Step: 1}, {Step: 1, Data: make([]byte, MaxVerificationStep+1)},
	} {
		if _, err := Encode(Message{Body: v}); !errors.Is(err, ErrVerification) {
			t.Errorf("step %d of %d bytes was encoded: %v", v.Step, len(v.Data), err)
		}
	}
	good, err := Encode(Message{Body: Verification{Step: 4, Data: []byte{7}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []byte{0, 5, 255} {
		bad := append([]byte(nil), good...)
		bad[headerSize+16] = step
		if _, err := Decode(bad); !errors.Is(err, ErrVerification) {
			t.Errorf("step %d was decoded: %v", step, err)
		}
	}
	empty := append([]byte(nil), good[:len(good)-3]...)
	if _, err := Decode(append(empty, 0, 0)); !errors.Is(err, ErrVerification) {
		t.Errorf("a step without bytes was decoded: %v", err)
	}
}
