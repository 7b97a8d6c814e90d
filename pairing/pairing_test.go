package pairing

import (
	"crypto"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// dice is repeatable entropy.
type dice struct{ *rand.ChaCha8 }

func newDice(seed byte) dice { return dice{rand.NewChaCha8([32]byte{seed})} }

func (d dice) Read(p []byte) { _, _ = d.ChaCha8.Read(p) }

func (d dice) Encapsulate(ek crypto.Encapsulator) ([]byte, []byte) {
	key, err := mlkem.NewEncapsulationKey1024(ek.Bytes())
	if err != nil {
		panic(err)
	}
	seed := make([]byte, 32)
	d.Read(seed)
	shared, ct, err := mlkemtest.Encapsulate1024(key, seed)
	if err != nil {
		panic(err)
	}
	return shared, ct
}

// device is a new device with its key, and what it says for itself.
func (d dice) application(t testing.TB, to *Invitation) *Application {
	t.Helper()
	key, _ := account.GenerateSigningKey(d.Read)
	a := &Application{Label: "laptop of Zoë", Bundle: []byte("a bundle")}
	a.Device = &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: 1}
	d.Read(a.Device.ID[:])
	d.Read(a.History[:])
	body, err := account.AdditionBody(to.Account, to.Seq, to.Prev, to.At, a.Device)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := account.SignBody(key, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Signature = *signature
	return a
}

func (d dice) invitation() *Invitation {
	i := &Invitation{Name: "alice", Seq: 4, At: 5, Pin: make([]byte, 32), Extra: []byte("more")}
	d.Read(i.Account[:])
	d.Read(i.Prev[:])
	d.Read(i.Pin)
	return i
}

// pair is two honest devices after the invitation has arrived.
type pair struct {
	code         Code
	waiting      *Waiting
	hello, reply []byte
	device, old  *Session
	invitation   *Invitation
}

func paired(t testing.TB, seed byte) pair {
	t.Helper()
	d := newDice(seed)
	p := pair{code: NewCode(d.Read), invitation: d.invitation()}
	p.waiting, p.hello = Begin(p.code, began, d)
	var err error
	if p.old, p.reply, err = Join(p.code, p.hello, p.invitation, began, d); err != nil {
		t.Fatal(err)
	}
	var got *Invitation
	if p.device, got, err = p.waiting.Finish(p.reply, began); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, p.invitation) {
		t.Fatalf("the invitation arrived as %+v", got)
	}
	return p
}

// wantCheck fails unless a numbered check refused.
func wantCheck(t testing.TB, err error, check string, sentinel error) {
	t.Helper()
	var refusal *reject.Error
	if !errors.As(err, &refusal) || refusal.Check != check || !errors.Is(err, sentinel) {
		t.Fatalf("got %v, want %s", err, check)
	}
}

func TestTwoDevicesPair(t *testing.T) {
	p := paired(t, 1)
	sent := newDice(2).application(t, p.invitation)
	device, message, err := p.device.Seal(sent.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	old, payload, err := p.old.Open(message, began)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseApplication(payload)
	if err != nil || !reflect.DeepEqual(got, sent) {
		t.Fatalf("the application arrived as %+v, %v", got, err)
	}
	_, message, err = old.Seal(Linked.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err = device.Open(message, began)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ParseVerdict(payload); err != nil || v != Linked {
		t.Fatal(v, err)
	}
	if p.device.Next() != 2 || device.Next() != 3 || old.Next() != 3 {
		t.Fatal("the messages are not counted")
	}
}

func TestCodeSurvivesPeople(t *testing.T) {
	for seed := range byte(50) {
		code := NewCode(newDice(seed).Read)
		text := code.Text()
		if len(text) != CodeLength+5 || strings.Count(text, "-") != 5 {
			t.Fatal("not six groups of five:", text)
		}
		lookalikes := strings.NewReplacer("0", "o", "1", "l")
		for _, typed := range []string{
			text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), " " + strings.ReplaceAll(text, "-", " ") + " ",
			lookalikes.Replace(text), strings.ReplaceAll(text, "1", "I"),
		} {
			if got, err := ParseCode(typed); err != nil || got != code {
				t.Fatalf("%q: %v", typed, err)
			}
		}
	}
}

func TestV230SlipInACode(t *testing.T) {
	text := NewCode(newDice(3).Read).Text()
	for i := range text {
		if text[i] == '-' {
			continue
		}
		for _, other := range alphabet {
			if byte(other) == text[i] {
				continue
			}
			slipped := text[:i] + string(other) + text[i+1:]
			// 14 bits let one slip in 16,384 through: the seed is one where none of these is.
			_, err := ParseCode(slipped)
			wantCheck(t, err, "V-230", ErrCode)
		}
	}
	for _, no := range []string{"", text[1:], text + "0", strings.Replace(text, text[:1], "U", 1), text + "é"} {
		_, err := ParseCode(no)
		wantCheck(t, err, "V-230", ErrCode)
	}
}

func TestSlotTellsNothingAndDiffers(t *testing.T) {
	seen := map[Slot]bool{}
	for seed := range byte(100) {
		code := NewCode(newDice(seed).Read)
		slot := code.Slot()
		if seen[slot] || strings.Contains(string(slot[:]), string(code.secret[:4])) {
			t.Fatal("a slot that repeats or shows the code")
		}
		seen[slot] = true
	}
}

func TestV231MalformedMessages(t *testing.T) {
	p := paired(t, 4)
	for _, hello := range [][]byte{nil, p.hello[1:], append(p.hello[:len(p.hello):len(p.hello)], 0), flipped(p.hello, 0)} {
		_, _, err := Join(p.code, hello, p.invitation, began, newDice(5))
		wantCheck(t, err, "V-231", ErrMessage)
	}
	for _, reply := range [][]byte{nil, p.reply[:replyHead-1], make([]byte, MaxMessage+1), flipped(p.reply, 0)} {
		_, _, err := p.waiting.Finish(reply, began)
		wantCheck(t, err, "V-231", ErrMessage)
	}
}

func TestV231KeysOfSmallOrder(t *testing.T) {
	// Whoever has the code can still not make the other compute a known secret.
	d := newDice(6)
	code := NewCode(d.Read)
	w, _ := Begin(code, began, d)
	front := append([]byte{version}, make([]byte, keySize)...)
	front = append(front, w.kem.EncapsulationKey().Bytes()...)
	_, _, err := Join(code, append(front, helloMAC(code, front)...), d.invitation(), began, d)
	wantCheck(t, err, "V-231", ErrMessage)
	unreduced := append([]byte(nil), front...)
	unreduced[1] = 9
	for i := 1 + keySize; i < len(unreduced); i++ {
		unreduced[i] = 0xff
	}
	_, _, err = Join(code, append(unreduced, helloMAC(code, unreduced)...), d.invitation(), began, d)
	wantCheck(t, err, "V-231", ErrMessage)
}

func flipped(b []byte, i int) []byte {
	out := append([]byte(nil), b...)
	out[i] ^= 1
	return out
}

func TestV232EveryFlippedByteIsRefused(t *testing.T) {
	p := paired(t, 7)
	for i := 1; i < len(p.hello); i += 7 {
		_, _, err := Join(p.code, flipped(p.hello, i), p.invitation, began, newDice(8))
		wantCheck(t, err, "V-232", ErrMessage)
	}
	for i := 1; i < len(p.reply); i += 7 {
		_, _, err := p.waiting.Finish(flipped(p.reply, i), began)
		wantCheck(t, err, "V-232", ErrMessage)
	}
	_, message, err := p.device.Seal([]byte("anything"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range message {
		_, _, err := p.old.Open(flipped(message, i), began)
		wantCheck(t, err, "V-232", ErrMessage)
	}
	_, _, err = p.old.Open(message[:3], began)
	wantCheck(t, err, "V-232", ErrMessage)
}

func TestV232WithoutTheCode(t *testing.T) {
	// The server sees everything and makes keys of its own, but has another code.
	p, d := paired(t, 9), newDice(10)
	guess := NewCode(d.Read)
	_, foreign := Begin(guess, began, d)
	_, _, err := Join(p.code, foreign, p.invitation, began, d)
	wantCheck(t, err, "V-232", ErrMessage)
	_, _, err = Join(guess, p.hello, p.invitation, began, d)
	wantCheck(t, err, "V-232", ErrMessage)
	swapped := append([]byte(nil), p.hello[:helloSize-macSize]...)
	swapped = append(swapped, helloMAC(guess, swapped)...)
	_, forgery, err := Join(guess, swapped, p.invitation, began, d)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.waiting.Finish(forgery, began)
	wantCheck(t, err, "V-232", ErrMessage)
}

func TestV232ManInTheMiddleWithBothExchangesBroken(t *testing.T) {
	// Even one who knows both shared secrets needs the code for the keys.
	p := paired(t, 11)
	head := p.reply[:replyHead]
	dh, err := agree(p.waiting.ecdh, head[1:1+keySize])
	if err != nil {
		t.Fatal(err)
	}
	shared, err := p.waiting.kem.Decapsulate(head[1+keySize:])
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(NewCode(newDice(12).Read), p.hello, head, dh, shared, began)
	s.mine = fromNew
	_, _, err = s.open(p.reply, replyHead)
	wantCheck(t, err, "V-232", ErrMessage)
}

func TestV232ReplayAndMixture(t *testing.T) {
	p := paired(t, 13)
	// A second pairing under the same code, with the answer of the first.
	again, _ := Begin(p.code, began, newDice(14))
	_, _, err := again.Finish(p.reply, began)
	wantCheck(t, err, "V-232", ErrMessage)
	// A message of the channel where a later one is due.
	device, first, err := p.device.Seal([]byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	old, _, err := p.old.Open(first, began)
	if err != nil {
		t.Fatal(err)
	}
	_, answer, err := old.Seal([]byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = device.Open(first, began) // reflected
	wantCheck(t, err, "V-232", ErrMessage)
	_, _, err = device.Open(p.reply[replyHead:], began)
	wantCheck(t, err, "V-232", ErrMessage)
	if _, _, err = device.Open(answer, began); err != nil {
		t.Fatal(err)
	}
	// The same answer in a pairing at another slot.
	other := paired(t, 15)
	_, _, err = other.old.Open(first, began)
	wantCheck(t, err, "V-232", ErrMessage)
}

func TestV233MessagesAlternate(t *testing.T) {
	p := paired(t, 16)
	_, _, err := p.old.Seal([]byte("out of turn"))
	wantCheck(t, err, "V-233", ErrOrder)
	_, _, err = p.device.Open(p.reply, began)
	wantCheck(t, err, "V-233", ErrOrder)
}

func TestV234CodeRunsOut(t *testing.T) {
	p := paired(t, 17)
	_, message, err := p.device.Seal([]byte("late"))
	if err != nil {
		t.Fatal(err)
	}
	for _, late := range []time.Time{began.Add(Life + time.Millisecond), began.Add(-time.Millisecond)} {
		_, _, err := p.waiting.Finish(p.reply, late)
		wantCheck(t, err, "V-234", ErrExpired)
		_, _, err = p.old.Open(message, late)
		wantCheck(t, err, "V-234", ErrExpired)
	}
	if _, _, err := p.old.Open(message, began.Add(Life)); err != nil {
		t.Fatal("refused in time:", err)
	}
}

func TestV235MalformedPayloads(t *testing.T) {
	d := newDice(18)
	invitation := d.invitation()
	application := d.application(t, invitation).Marshal()
	for name, err := range map[string]error{
		"invitation cut":            second(ParseInvitation(invitation.Marshal()[:60])),
		"invitation of kind 2":      second(ParseInvitation(append([]byte{2}, invitation.Marshal()[1:]...))),
		"invitation with bytes":     second(ParseInvitation(append(invitation.Marshal(), 0))),
		"invitation to statement 0": second(ParseInvitation((&Invitation{Name: "alice"}).Marshal())),
		"invitation, short pin":     second(ParseInvitation((&Invitation{Name: "alice", Seq: 1, Pin: []byte{1}}).Marshal())),
		"invitation, bad name":      second(ParseInvitation((&Invitation{Name: "A", Seq: 1}).Marshal())),
		"application cut":           second(ParseApplication(application[:len(application)-1])),
		"application with bytes":    second(ParseApplication(append(application[:len(application):len(application)], 0))),
		"application, no device":    second(ParseApplication(flipped(application, 3))),
		"verdict of no kind":        second(ParseVerdict([]byte{3, 9})),
		"verdict cut":               second(ParseVerdict([]byte{3})),
	} {
		t.Run(name, func(t *testing.T) { wantCheck(t, err, "V-235", ErrPayload) })
	}
	p := paired(t, 19)
	_, _, err := p.device.Seal(make([]byte, MaxMessage))
	wantCheck(t, err, "V-235", ErrPayload)
}

func second[T any](_ T, err error) error { return err }

func TestOneBrokenExchangeIsNotEnough(t *testing.T) {
	// The keys of the channel depend on both shared secrets and on the code.
	p := paired(t, 20)
	head := p.reply[:replyHead]
	dh, shared := make([]byte, 32), make([]byte, 32)
	same := newSession(p.code, p.hello, head, dh, shared, began)
	otherDH := newSession(p.code, p.hello, head, flipped(dh, 0), shared, began)
	otherKEM := newSession(p.code, p.hello, head, dh, flipped(shared, 0), began)
	otherHello := newSession(p.code, flipped(p.hello, 0), head, dh, shared, began)
	for _, s := range []*Session{otherDH, otherKEM, otherHello} {
		if s.keys[fromOld] == same.keys[fromOld] || s.keys[fromNew] == same.keys[fromNew] {
			t.Fatal("a part does not reach the keys")
		}
	}
	if same.keys[fromOld] == same.keys[fromNew] {
		t.Fatal("one key for both directions")
	}
}
