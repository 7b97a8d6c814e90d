package account

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/vectors"
)

// rulesFile is testdata/rules.json: for each rule of SPEC §15.1 inputs that
// break it, and inputs that keep all of them. Its README says how to use it.
type rulesFile struct {
	About   string                   `json:"about"`
	Rosters map[string][]vectors.Hex `json:"rosters"`
	Vectors []ruleVector             `json:"vectors"`
}

// ruleVector is one call. Reject is the rule that refuses it; without one it
// must be accepted.
type ruleVector struct {
	Name      string      `json:"name"`
	Call      string      `json:"call"`
	Reject    string      `json:"reject,omitempty"`
	Text      string      `json:"text,omitempty"`
	Roster    string      `json:"roster,omitempty"`
	Bytes     vectors.Hex `json:"bytes,omitempty"`
	Key       vectors.Hex `json:"key,omitempty"`
	Message   vectors.Hex `json:"message,omitempty"`
	Signature vectors.Hex `json:"signature,omitempty"`
	Context   string      `json:"context,omitempty"`
	Account   string      `json:"account,omitempty"`
	Device    vectors.Hex `json:"device,omitempty"`
	Other     vectors.Hex `json:"other,omitempty"`
	At        uint64      `json:"at,omitempty"` // Unix ms
}

const rulesPath = "testdata/rules.json"

// TestVectorsRules reads the file alone and makes every call through the
// package's exported functions.
func TestVectorsRules(t *testing.T) {
	var f rulesFile
	vectors.ReadRules(t, rulesPath, &f)
	var verdicts vectors.Verdicts
	for _, v := range f.Vectors {
		verdicts.Of(t, v.Name, v.Reject, f.call(v))
	}
	verdicts.Cover(t, "../SPEC.md", "15.1", nil)
}

// call makes the call of a vector. What parses must encode to its own bytes.
func (f rulesFile) call(v ruleVector) error {
	switch v.Call {
	case "name":
		_, err := ParseName(v.Text)
		return err
	case "account id":
		_, err := ParseID(v.Text)
		return err
	case "device id":
		_, err := ParseDeviceID(v.Text)
		return err
	case "key":
		_, err := keyOf(v.Bytes)
		return err
	case "ecdsa":
		return must(keyOf(v.Key)).VerifyECDSA(v.Message, v.Signature)
	case "mldsa":
		return must(keyOf(v.Key)).VerifyMLDSA(v.Message, v.Signature, v.Context)
	case "suite":
		_, err := ChooseSuite(must(ParseDevice(v.Device)), must(ParseDevice(v.Other)))
		return err
	}
	return f.callRecord(v)
}

func (f rulesFile) callRecord(v ruleVector) error {
	switch v.Call {
	case "device":
		d, err := ParseDevice(v.Bytes)
		return same(v, d, err)
	case "bundle":
		b, err := ParseBundle(v.Bytes)
		return same(v, b, err)
	case "bundle of":
		owner := Party{must(ParseID(v.Account)), must(ParseDevice(v.Device))}
		return must(ParseBundle(v.Bytes)).Verify(owner, time.UnixMilli(int64(v.At)))
	case "statement":
		s, err := ParseStatement(v.Bytes)
		return same(v, s, err)
	case "roster":
		_, err := ReplayRoster(f.roster(v.Roster))
		return err
	case "next":
		_, err := must(ReplayRoster(f.roster(v.Roster))).Apply(must(ParseStatement(v.Bytes)))
		return err
	case "hold":
		_, err := OpenHold(v.Bytes, must(ReplayRoster(f.roster(v.Roster))))
		return err
	}
	return fmt.Errorf("no call %q", v.Call)
}

func (f rulesFile) roster(name string) (statements [][]byte) {
	for _, s := range f.Rosters[name] {
		statements = append(statements, s)
	}
	return statements
}

func keyOf(b []byte) (*VerifyingKey, error) {
	return ParseVerifyingKey(b[:min(len(b), ECDSAKeySize)], b[min(len(b), ECDSAKeySize):])
}

func same(v ruleVector, parsed interface{ Marshal() []byte }, err error) error {
	if err == nil && !bytes.Equal(parsed.Marshal(), v.Bytes) {
		return errors.New("it encodes to other bytes")
	}
	return err
}
