package account

import (
	"bytes"
	"errors"
	"testing"
)

// household is an account with two devices and a recovery key.
type household struct {
	*Roster
	phone, laptop actor
	recovery      *SigningKey
}

func newHousehold(t testing.TB) household {
	t.Helper()
	h := household{phone: newActor("phone"), laptop: newActor("laptop"), recovery: newActor("recovery").key}
	first := must(NewAccount(h.phone.Device, h.phone.key, millis(testTime), nil))
	start := must(StartRoster(first))
	second := must(start.Propose(h.phone.author(), []*SigningKey{h.laptop.key}, millis(testTime)+1, nil,
		AddDevice{h.laptop.Device}, SetRecovery{h.recovery.Public()}))
	h.Roster = must(start.Apply(second))
	return h
}

func (h household) byRecovery() Author { return Author{Key: h.recovery} }

// sign makes a statement without asking the roster whether it is allowed.
func (h household) sign(author Author, added []*SigningKey, ops ...Operation) *Statement {
	return must(must(h.draft(author, millis(testTime), ops)).sign(author.Key, added, nil))
}

func TestStatementRoundTrip(t *testing.T) {
	h := newHousehold(t)
	tablet := newActor("tablet")
	for name, s := range map[string]*Statement{
		"add":     h.sign(h.phone.author(), []*SigningKey{tablet.key}, AddDevice{tablet.Device}),
		"remove":  h.sign(h.phone.author(), nil, RemoveDevice{h.laptop.ID}),
		"rename":  h.sign(h.phone.author(), nil, RenameDevice{h.laptop.ID, []byte("sealed")}),
		"replace": h.sign(h.byRecovery(), nil, ReplaceRecovery{newActor("new").Key}),
		"clear":   h.sign(h.byRecovery(), nil, ClearRecovery{}),
	} {
		t.Run(name, func(t *testing.T) {
			raw := s.Marshal()
			got, err := ParseStatement(raw)
			if err != nil || !bytes.Equal(got.Marshal(), raw) || got.Hash() != s.Hash() {
				t.Fatalf("%v", err)
			}
			if got.Seq() != 2 || got.At() != millis(testTime) || len(got.Operations()) != 1 {
				t.Fatal("a field changed")
			}
			if _, err := h.Apply(got); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestV18StatementEncoding(t *testing.T) {
	h := newHousehold(t)
	good := h.sign(h.phone.author(), nil, RenameDevice{h.phone.ID, nil})
	refuse := func(name string, raw []byte) {
		t.Run(name, func(t *testing.T) {
			_, err := ParseStatement(raw)
			wantCheck(t, err, "V-18", ErrStatement)
		})
	}
	raw := good.Marshal()
	refuse("nothing", nil)
	refuse("trailing byte", append(bytes.Clone(raw), 0))
	refuse("truncated", raw[:len(raw)-1])
	refuse("too long", make([]byte, MaxStatement+1))

	refuseBody := func(name string, change func([]byte) []byte) {
		s := *good
		s.body = change(bytes.Clone(good.body))
		refuse(name, s.Marshal())
	}
	count := len(good.body) - (1 + 2 + 34) - 1 // one rename with an empty name follows the count
	refuseBody("version", func(b []byte) []byte { b[0] = 2; return b })
	refuseBody("form", func(b []byte) []byte { b[1] = 2; return b })
	refuseBody("later with number 0", func(b []byte) []byte { clear(b[50:58]); return b })
	refuseBody("no operations", func(b []byte) []byte { b[count] = 0; return b[:count+1] })
	refuseBody("more operations than said", func(b []byte) []byte { return append(b, b[count+1:]...) })
	refuseBody("fewer operations than said", func(b []byte) []byte { b[count] = 2; return b })
	refuseBody("seventeen", func(b []byte) []byte {
		b[count] = 17
		return append(b, bytes.Repeat(b[count+1:], 16)...)
	})
	refuseBody("operation 0", func(b []byte) []byte { b[count+1] = 0; return b })
	refuseBody("operation 7", func(b []byte) []byte { b[count+1] = 7; return b })
	refuseBody("operation of the wrong length", func(b []byte) []byte { b[count+1] = byte(opRemoveDevice); return b })

	signer := *good
	signer.kind = 3
	refuse("signer of kind 3", signer.Marshal())
	crowd := *good
	crowd.added = make([]Signature, maxOperations+1)
	refuse("seventeen signatures", crowd.Marshal())
}

func TestV18NothingUnparsableIsProposed(t *testing.T) {
	h := newHousehold(t)
	tooMany := make([]Operation, maxOperations+1)
	for i := range tooMany {
		tooMany[i] = ClearRecovery{}
	}
	for name, ops := range map[string][]Operation{
		"none": nil, "seventeen": tooMany, "long name": {RenameDevice{h.phone.ID, make([]byte, 1<<17)}},
		"no key": {SetRecovery{}}, "no new key": {ReplaceRecovery{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Propose(h.phone.author(), nil, 1, nil, ops...)
			wantCheck(t, err, "V-18", ErrStatement)
		})
	}
	_, err := h.ProposeBody(h.phone.author(), 1, AddDevice{&Device{Key: h.phone.Key}})
	wantCheck(t, err, "V-10", ErrDevice)
	if _, err := NewAccount(h.phone.Device, h.laptop.key, 1, nil); !errors.Is(err, ErrKey) {
		t.Errorf("an account signed by another key: %v", err)
	}
}

// An added device that lives on another machine signs the body there.
func TestAssembleFromTwoMachines(t *testing.T) {
	h := newHousehold(t)
	tablet := newActor("tablet")
	body := must(h.ProposeBody(h.phone.author(), 7, AddDevice{tablet.Device}))
	there := must(SignBody(tablet.key, body, nil))
	here := must(SignBody(h.phone.key, body, nil))
	s, err := h.Assemble(h.phone.author(), body, here, []Signature{*there})
	if err != nil {
		t.Fatal(err)
	}
	next := must(h.Apply(must(ParseStatement(s.Marshal()))))
	if _, ok := next.Device(tablet.ID); !ok {
		t.Fatal("the tablet is not on the roster")
	}
	_, err = h.Assemble(h.phone.author(), body, here, []Signature{*here})
	wantCheck(t, err, "V-24", ErrRoster)
	_, err = h.Assemble(h.byRecovery(), body[1:], here, nil)
	wantCheck(t, err, "V-18", ErrStatement)
}
