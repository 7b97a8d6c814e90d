package pq3_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// coreFile is testdata/vectors/rules.json: for each rule of SPEC §15.2 inputs
// that break it, and inputs that keep all of them. The README beside it says
// how to use it.
type coreFile struct {
	About   string                 `json:"about"`
	Parties map[string]coreParty   `json:"parties"`
	Prekeys map[string]vectors.Hex `json:"prekeys"`
	Vectors []coreVector           `json:"vectors"`
}

// coreParty is a device with its keys.
type coreParty struct {
	Account string      `json:"account"`
	Device  vectors.Hex `json:"device"`
	ECDSA   vectors.Hex `json:"ecdsa_scalar"`
	MLDSA   vectors.Hex `json:"mldsa_seed"`
}

// coreVector is one call. Reject is the rule that refuses it; without one it
// must succeed with the stated results.
type coreVector struct {
	Name   string `json:"name"`
	Call   string `json:"call"`
	Reject string `json:"reject,omitempty"`

	Me            string        `json:"me,omitempty"`
	Peer          string        `json:"peer,omitempty"`
	At            uint64        `json:"at,omitempty"` // Unix ms
	State         vectors.Hex   `json:"state,omitempty"`
	Skipped       vectors.Hex   `json:"skipped,omitempty"`
	Message       vectors.Hex   `json:"message,omitempty"`
	Bundle        vectors.Hex   `json:"bundle,omitempty"`
	Prekeys       []string      `json:"prekeys,omitempty"`
	Replays       []vectors.Hex `json:"replays,omitempty"`
	DeviceStarts  int           `json:"device_starts,omitempty"`
	BundleStarts  int           `json:"bundle_starts,omitempty"`
	SeenNotBefore uint64        `json:"seen_not_before,omitempty"`
	EveryMessages int           `json:"every_messages,omitempty"`
	EveryMillis   int64         `json:"every_ms,omitempty"`
	HardMillis    int64         `json:"hard_ms,omitempty"`
	Text          vectors.Hex   `json:"text,omitempty"`
	Zeros         int           `json:"zeros,omitempty"` // the text is that many zero bytes
	Associated    vectors.Hex   `json:"associated,omitempty"`
	Entropy       string        `json:"entropy,omitempty"` // seed, SPEC §17.2

	Result coreResult `json:"result,omitzero"`
}

// coreResult is what a call yields. Each call fills in some of it.
type coreResult struct {
	Text      vectors.Hex `json:"text,omitempty"`
	Message   vectors.Hex `json:"message,omitempty"`
	State     vectors.Hex `json:"state,omitempty"`
	Skipped   vectors.Hex `json:"skipped,omitempty"`
	ReplayKey vectors.Hex `json:"replay_key,omitempty"`
}

const rulesPath = "testdata/vectors/rules.json"

// cannotShow are the rules that no bytes break, with the reason.
var cannotShow = map[string]string{
	"V-66": "no known key and ciphertext give the all-zero KEM secret",
}

// TestVectorsRules reads the file alone and makes every call through exported
// functions.
func TestVectorsRules(t *testing.T) {
	var f coreFile
	vectors.ReadRules(t, rulesPath, &f)
	var verdicts vectors.Verdicts
	for _, v := range f.Vectors {
		got, err := f.make(v)
		if verdicts.Of(t, v.Name, v.Reject, err) && jsonOf(got) != jsonOf(v.Result) {
			t.Errorf("%s: another result", v.Name)
		}
	}
	verdicts.Cover(t, "../SPEC.md", "15.2", cannotShow)
}

func jsonOf(r coreResult) string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // byte strings always encode
	}
	return string(text)
}

// given panics on errors in the file itself, which no vector may have.
func given[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (p coreParty) party() account.Party {
	return account.Party{Account: given(account.ParseID(p.Account)), Device: given(account.ParseDevice(p.Device))}
}

func (p coreParty) identity() (*pq3.Identity, error) {
	seeds := account.KeySeeds{ECDSA: secret.Key(p.ECDSA), MLDSA: secret.Key(p.MLDSA)}
	return pq3.NewIdentity(p.party(), given(seeds.SigningKey()))
}

// caller is a vector with its two devices.
type caller struct {
	coreVector
	file coreFile
	me   *pq3.Identity
	peer account.Party
	now  time.Time
}

// make makes the call of a vector.
func (f coreFile) make(v coreVector) (coreResult, error) {
	c := caller{coreVector: v, file: f, now: time.UnixMilli(int64(v.At)).UTC()}
	if v.Call == "identity" {
		_, err := f.Parties[v.Me].identity()
		return coreResult{}, err
	}
	if v.Me != "" {
		c.me, c.peer = given(f.Parties[v.Me].identity()), f.Parties[v.Peer].party()
	}
	calls := map[string]func() (coreResult, error){
		"parse": c.parse, "verify": c.verify, "open": c.open, "accept": c.accept, "initiate": c.initiate,
		"seal": c.seal, "restore": c.restored, "prekey": c.prekey, "control": c.control,
	}
	call, ok := calls[v.Call]
	if !ok {
		return coreResult{}, fmt.Errorf("no call %q", v.Call)
	}
	return call()
}

func (c caller) policy() pq3.Policy {
	return pq3.Policy{
		EveryMessages: c.EveryMessages,
		Every:         time.Duration(c.EveryMillis) * time.Millisecond,
		Hard:          time.Duration(c.HardMillis) * time.Millisecond,
	}
}

func (c caller) parse() (coreResult, error) {
	_, err := pq3.ParseMessage(c.Message)
	return coreResult{}, err
}

func (c caller) verify() (coreResult, error) {
	return coreResult{}, pq3.Verify(c.me, c.peer, given(pq3.ParseMessage(c.Message)))
}

func (c caller) session() (*pq3.Session, error) {
	return pq3.RestoreSession(c.me, c.peer, c.policy(), c.State, c.Skipped)
}

// open must leave the session as it was, whatever comes of it.
func (c caller) open() (coreResult, error) {
	s := given(c.session())
	next, text, err := s.Open(c.now, given(pq3.ParseMessage(c.Message)))
	if !bytes.Equal(s.MarshalState(), c.State) || !bytes.Equal(s.MarshalSkipped(), c.Skipped) {
		return coreResult{}, errors.New("the session changed")
	}
	if err != nil {
		return coreResult{}, err
	}
	return coreResult{Text: text, State: next.MarshalState(), Skipped: next.MarshalSkipped()}, nil
}

// listed is a replay cache with the contents that a vector states.
type listed struct{ v coreVector }

func (l listed) Seen(key pq3.ReplayKey) bool {
	for _, seen := range l.v.Replays {
		if bytes.Equal(seen, key[:]) {
			return true
		}
	}
	return false
}

func (l listed) BundleStarts(account.BundleHash) int          { return l.v.BundleStarts }
func (l listed) DeviceStarts(account.DeviceID, time.Time) int { return l.v.DeviceStarts }

func (c caller) accept() (coreResult, error) {
	prekeys := pq3test.PrekeyMap{}
	for _, name := range c.Prekeys {
		p := given(pq3.ParsePrekey(c.file.Prekeys[name]))
		prekeys[p.Hash()] = p
	}
	o := pq3.AcceptOptions{Policy: c.policy(), Prekeys: prekeys, Replays: listed{c.coreVector}}
	a, err := pq3.Accept(c.me, c.peer, given(pq3.ParseMessage(c.Message)), o, c.now)
	if err != nil {
		return coreResult{}, err
	}
	return coreResult{
		Text: a.Plaintext, State: a.Session.MarshalState(), Skipped: a.Session.MarshalSkipped(), ReplayKey: a.Replay[:],
	}, nil
}

func (c caller) initiate() (coreResult, error) {
	o := pq3.InitiateOptions{Policy: c.policy(), SeenNotBefore: c.SeenNotBefore}
	s, err := pq3.Initiate(c.me, c.peer, given(account.ParseBundle(c.Bundle)), o, c.now, pq3test.NewEntropy(c.Entropy))
	if err != nil {
		return coreResult{}, err
	}
	return coreResult{State: s.MarshalState()}, nil
}

func (c caller) seal() (coreResult, error) {
	text := c.Text
	if c.Zeros > 0 {
		text = make([]byte, c.Zeros)
	}
	next, message, err := given(c.session()).Seal(pq3test.NewEntropy(c.Entropy), c.now, text, c.Associated)
	if err != nil {
		return coreResult{}, err
	}
	return coreResult{Message: message, State: next.MarshalState(), Skipped: next.MarshalSkipped()}, nil
}

// restored yields what the restored session encodes to: the same bytes.
func (c caller) restored() (coreResult, error) {
	s, err := c.session()
	if err != nil {
		return coreResult{}, err
	}
	return coreResult{State: s.MarshalState(), Skipped: s.MarshalSkipped()}, nil
}

func (c caller) prekey() (coreResult, error) {
	p, err := pq3.ParsePrekey(c.State)
	if err != nil {
		return coreResult{}, err
	}
	return coreResult{State: p.Marshal()}, nil
}

func (c caller) control() (coreResult, error) {
	_, err := pq3.OpenControl(c.me, c.peer, c.Message, c.now)
	return coreResult{}, err
}
