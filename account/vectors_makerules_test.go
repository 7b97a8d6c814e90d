package account

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/vectors"
)

// TestVectorsRulesAreCurrent makes the file again and compares; -update
// rewrites it.
func TestVectorsRulesAreCurrent(t *testing.T) {
	text := append(must(json.MarshalIndent(makeRules(t), "", " ")), '\n')
	if *update {
		if err := os.WriteFile(rulesPath, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(must(os.ReadFile(rulesPath)), text) {
		t.Errorf("%s differs from what the code makes now", rulesPath)
	}
}

// ruleMaker collects the vectors of rules.json.
type ruleMaker struct {
	rulesFile
	household
	tablet actor
}

func makeRules(t *testing.T) rulesFile {
	m := &ruleMaker{household: newHousehold(t), tablet: newActor("tablet")}
	m.About = "calls that break one rule of SPEC §15.1 each, and calls that break none; see README.md in this folder"
	m.Rosters = map[string][]vectors.Hex{"household": hexes(m.Statements()), "one phone": hexes(m.Statements()[:1]), "nothing": {}}
	m.names()
	m.keys()
	m.devices()
	m.bundles(t)
	m.statements()
	m.operations(t)
	m.holds()
	return m.rulesFile
}

func hexes(list [][]byte) (out []vectors.Hex) {
	for _, b := range list {
		out = append(out, b)
	}
	return out
}

func (m *ruleMaker) add(reject, name string, v ruleVector) {
	v.Name, v.Reject = name, reject
	m.Vectors = append(m.Vectors, v)
}

func (m *ruleMaker) names() {
	for _, s := range []string{"bob", "a.b_c-9", "abcdefghijklmnopqrstuvwxyz012345"} {
		m.add("", "a name", ruleVector{Call: "name", Text: s})
	}
	for _, s := range []string{"", "bo", "Bob", "bob ", "@bob", "bø", "abcdefghijklmnopqrstuvwxyz0123456"} {
		m.add("V-01", "not a name", ruleVector{Call: "name", Text: s})
	}
	id, device := m.ID().String(), m.phone.ID.String()
	m.add("", "an account id", ruleVector{Call: "account id", Text: id})
	m.add("", "a device id", ruleVector{Call: "device id", Text: device})
	m.add("V-02", "account id in upper case", ruleVector{Call: "account id", Text: "A" + id[1:]})
	m.add("V-02", "account id too short", ruleVector{Call: "account id", Text: id[2:]})
	m.add("V-02", "device id too long", ruleVector{Call: "device id", Text: device + "00"})
	m.add("V-02", "device id with a space", ruleVector{Call: "device id", Text: " " + device[1:]})
}

func (m *ruleMaker) keys() {
	key := m.phone.Key.append(nil)
	m.add("", "a hybrid key", ruleVector{Call: "key", Bytes: key})
	m.add("V-03", "ECDSA half with the prefix of an uncompressed point", ruleVector{Call: "key", Bytes: edited(key, 0, 4)})
	m.add("V-03", "ECDSA half off the curve", ruleVector{Call: "key", Bytes: slices.Concat([]byte{2}, make([]byte, 31), []byte{1}, key[33:])})
	m.add("V-03", "ML-DSA half a byte short", ruleVector{Call: "key", Bytes: key[:len(key)-1]})

	msg := []byte("signed")
	ec, pq := must(m.phone.key.SignECDSA(nil, msg)), must(m.phone.key.SignMLDSA(nil, msg, "a purpose"))
	ecdsa := func(msg, sig []byte) ruleVector {
		return ruleVector{Call: "ecdsa", Key: key, Message: msg, Signature: sig}
	}
	m.add("", "an ECDSA signature", ecdsa(msg, ec[:]))
	m.add("V-05", "ECDSA signature a byte short", ecdsa(msg, ec[:63]))
	m.add("V-05", "ECDSA signature over other bytes", ecdsa([]byte("other"), ec[:]))
	m.add("V-05", "ECDSA signature in DER", ecdsa(msg, appendDER(nil, ec[:])))
	m.add("V-05", "ECDSA signature with r = 0", ecdsa(msg, append(make([]byte, 32), ec[32:]...)))
	m.add("V-07", "ECDSA signature with the greater s", ecdsa(msg, greaterS(ec[:])))
	mldsa := func(context string, sig []byte) ruleVector {
		return ruleVector{Call: "mldsa", Key: key, Message: msg, Context: context, Signature: sig}
	}
	m.add("", "an ML-DSA signature", mldsa("a purpose", pq))
	m.add("V-06", "ML-DSA signature for another purpose", mldsa("another purpose", pq))
	m.add("V-06", "ML-DSA signature with a changed byte", mldsa("a purpose", edited(pq, 1000, pq[1000]^1)))
}

// greaterS is the twin (r, N - s), by subtraction with borrow.
func greaterS(sig []byte) []byte {
	twin := bytes.Clone(sig)
	borrow := 0
	for i := 31; i >= 0; i-- {
		d := int(order[i]) - int(sig[32+i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		twin[32+i] = byte(d)
	}
	return twin
}

func edited(b []byte, at int, value byte) []byte {
	b = bytes.Clone(b)
	b[at] = value
	return b
}

func (m *ruleMaker) devices() {
	raw := m.phone.Marshal()
	classic, hybrid := newActor("classic", PQ3), newActor("hybrid", PQ3A)
	m.add("", "a device record", ruleVector{Call: "device", Bytes: raw})
	m.add("", "a device record with a suite of the future", ruleVector{Call: "device", Bytes: newActor("future", PQ3A, 7).Marshal()})
	m.add("V-09", "device record of version 2", ruleVector{Call: "device", Bytes: edited(raw, 0, 2)})
	m.add("V-09", "device record with a byte left over", ruleVector{Call: "device", Bytes: append(bytes.Clone(raw), 0)})
	m.add("V-03", "device record with a key off the curve", ruleVector{Call: "device", Bytes: edited(raw, 33, 7)})
	for _, suites := range [][]Suite{nil, {0}, {PQ3A, PQ3}, {PQ3, PQ3}} {
		m.add("V-10", fmt.Sprint("device record with suites ", suites), ruleVector{Call: "device", Bytes: m.phone.withSuites(suites).Marshal()})
	}
	m.add("", "suites in common", ruleVector{Call: "suite", Device: raw, Other: classic.Marshal()})
	m.add("V-08", "no suite in common", ruleVector{Call: "suite", Device: classic.Marshal(), Other: hybrid.Marshal()})
}

func (a actor) withSuites(suites []Suite) *Device {
	d := *a.Device
	d.Suites = suites
	return &d
}

func (m *ruleMaker) bundles(t *testing.T) {
	owner := Party{m.ID(), m.phone.Device}
	b := testBundle(t, m.phone, owner, PQ3A)
	raw := b.Marshal()
	parse := func(change func(*Bundle)) ruleVector {
		changed := *b
		change(&changed)
		return ruleVector{Call: "bundle", Bytes: changed.Marshal()}
	}
	m.add("", "a bundle", ruleVector{Call: "bundle", Bytes: raw})
	m.add("V-11", "bundle a byte short", ruleVector{Call: "bundle", Bytes: raw[:len(raw)-1]})
	m.add("V-11", "bundle of version 2", ruleVector{Call: "bundle", Bytes: edited(raw, 0, 2)})
	m.add("V-11", "bundle of suite 9", parse(func(b *Bundle) { b.Suite = 9 }))
	m.add("V-12", "bundle whose ECDH prekey is on no point", parse(func(b *Bundle) { b.ECDH = [32]byte{31: 1} }))
	m.add("V-12", "bundle whose ECDH prekey is not below the field prime", parse(func(b *Bundle) { b.ECDH = [32]byte(bytes.Repeat([]byte{0xff}, 32)) }))
	m.add("V-13", "bundle whose KEM prekey has a coefficient of q", parse(func(b *Bundle) { b.KEM[0], b.KEM[1] = 0x01, b.KEM[1]&0xf0|0x0d }))
	m.add("V-14", "bundle valid for nothing", parse(func(b *Bundle) { b.NotAfter = b.NotBefore }))
	m.add("V-14", "bundle valid for more than 30 days", parse(func(b *Bundle) { b.NotAfter++ }))
	of := func(device *Device, raw []byte, at time.Time) ruleVector {
		return ruleVector{Call: "bundle of", Account: m.ID().String(), Device: device.Marshal(), Bytes: raw, At: millis(at)}
	}
	m.add("", "a device's bundle", of(m.phone.Device, raw, testTime))
	m.add("", "a device's bundle 5 minutes early", of(m.phone.Device, raw, testTime.Add(-ClockSkew)))
	m.add("V-15", "bundle more than 5 minutes early", of(m.phone.Device, raw, testTime.Add(-ClockSkew-time.Millisecond)))
	m.add("V-15", "bundle more than 5 minutes late", of(m.phone.Device, raw, testTime.Add(MaxBundleValidity+ClockSkew+time.Millisecond)))
	m.add("V-16", "bundle for a suite that its device does not list", of(m.phone.withSuites([]Suite{PQ3}), raw, testTime))
	m.add("V-17", "bundle of another device", of(m.laptop.Device, raw, testTime))
	resuited := *b
	resuited.Suite = PQ3
	m.add("V-17", "bundle signed for another suite", of(m.phone.Device, resuited.Marshal(), testTime))
}

func (m *ruleMaker) statements() {
	rename := m.sign(m.phone.author(), nil, RenameDevice{m.phone.ID, []byte("n")})
	raw := rename.Marshal()
	parse := func(reject, name string, b []byte) { m.add(reject, name, ruleVector{Call: "statement", Bytes: b}) }
	parse("", "a statement", raw)
	parse("V-18", "statement with a byte left over", append(bytes.Clone(raw), 0))
	parse("V-18", "statement truncated", raw[:len(raw)-1])
	parse("V-18", "statement of version 2", edited(raw, 4, 2))
	parse("V-18", "statement without operations", edited(raw, 4+1+1+48+8+48+8, 0))
	parse("V-18", "statement of signer kind 3", edited(raw, 4+len(rename.body), 3))

	two := must((&Statement{ops: []Operation{AddDevice{m.phone.Device}, AddDevice{m.laptop.Device}}, kind: signedByDevice, device: m.phone.ID}).sign(m.phone.key, []*SigningKey{m.laptop.key}, nil))
	m.Rosters["two devices at once"] = hexes([][]byte{two.Marshal()})
	m.add("", "a roster", ruleVector{Call: "roster", Roster: "household"})
	m.add("V-19", "roster of nothing", ruleVector{Call: "roster", Roster: "nothing"})
	m.add("V-19", "roster whose first statement adds two devices", ruleVector{Call: "roster", Roster: "two devices at once"})
}

// next adds a statement after the household's last, or after its first.
func (m *ruleMaker) next(reject, name string, s *Statement) {
	m.add(reject, name, ruleVector{Call: "next", Roster: "household", Bytes: s.Marshal()})
}

func (m *ruleMaker) operations(t *testing.T) {
	phone, laptop, tablet := m.phone, m.laptop, m.tablet
	rename := RenameDevice{phone.ID, []byte("n")}
	by, keys := phone.author(), []*SigningKey{tablet.key}
	m.next("", "a rename", m.sign(by, nil, rename))
	m.next("", "a third device", m.sign(by, keys, AddDevice{tablet.Device}))
	m.next("", "a recovery key replaced by itself", m.sign(m.byRecovery(), nil, ReplaceRecovery{tablet.Key}))
	m.next("V-20", "a statement of another account", must(start(t, tablet).Propose(tablet.author(), nil, 1, nil, RenameDevice{tablet.ID, nil})))
	m.next("V-20", "the newest statement again", must(ParseStatement(m.Statements()[1])))
	m.next("V-21", "another statement 1", must(beforeSecond(m.household).Propose(by, nil, millis(testTime), nil, rename)))
	m.next("V-22", "signed by a stranger", m.sign(tablet.author(), nil, rename))
	m.next("V-23", "signed with another key", m.sign(Author{Device: &phone.ID, Key: tablet.key}, nil, rename))
	m.next("V-24", "an added device did not sign", m.sign(by, nil, AddDevice{tablet.Device}))
	m.next("V-24", "somebody signed who was not added", m.sign(by, keys, rename))
	m.next("V-25", "a recovery key where there is one", m.sign(by, nil, SetRecovery{tablet.Key}))
	m.next("V-25", "a device clears the recovery key", m.sign(by, nil, ClearRecovery{}))
	m.next("V-26", "one device replaces all others", m.sign(by, keys, RemoveDevice{laptop.ID}, AddDevice{tablet.Device}))
	m.next("V-27", "a device id again", m.sign(by, []*SigningKey{laptop.key}, AddDevice{laptop.Device}))
	twin := *tablet.Device
	twin.Key = laptop.Key
	m.next("V-27", "a key again", m.sign(by, []*SigningKey{laptop.key}, AddDevice{&twin}))
	m.next("V-28", "no device left", m.sign(by, nil, RemoveDevice{phone.ID}, RemoveDevice{laptop.ID}))
	m.next("V-29", "an unknown device removed", m.sign(by, nil, RemoveDevice{tablet.ID}))
	m.next("V-29", "an unknown device renamed", m.sign(by, nil, RenameDevice{tablet.ID, nil}))
}

// beforeSecond is the household before its second statement.
func beforeSecond(h household) *Roster { return must(ReplayRoster(h.Statements()[:1])) }

func (m *ruleMaker) holds() {
	hold := Hold{Account: m.ID(), At: millis(testTime), Nonce: [16]byte{1, 2, 3}}
	good := must(SignHold(hold, m.recovery, nil))
	open := func(reject, name, roster string, raw []byte) {
		m.add(reject, name, ruleVector{Call: "hold", Roster: roster, Bytes: raw})
	}
	open("", "a hold", "household", good)
	open("V-04", "hold a byte short", "household", good[:len(good)-1])
	open("V-04", "hold by a device", "household", must(SignHold(hold, m.phone.key, nil)))
	open("V-04", "hold of an account without a recovery key", "one phone", good)
}
