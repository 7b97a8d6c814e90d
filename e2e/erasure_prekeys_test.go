//go:build testhooks && linux

package e2e

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/pq3"
)

const aDay = 24 * time.Hour

// TestErasedPrekeysTA13 is scenario T-A13 with the real programs: two long-lived
// processes rotate their prekeys, and each pair of private halves is gone from
// profile and memory once its retention is over. A thief of the whole profile
// then reads no recorded session start that rested on it; before, he does.
func TestErasedPrekeysTA13(t *testing.T) {
	t.Run(hooked.name, func(t *testing.T) { erasePrekeys(t, hooked, false) })
	t.Run(erasing.name, func(t *testing.T) { erasePrekeys(t, erasing, true) })
}

func erasePrekeys(t *testing.T, v variant, mustBeGone bool) {
	programs := v.programs(t)
	offset := filepath.Join(t.TempDir(), "offset")
	env := "POSTHORN_TEST_CLOCK_OFFSET=@" + offset
	move := func(by time.Duration) {
		t.Helper()
		setOffset(t, offset, by)
	}
	move(0)
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"))
	d.built, d.env = hooked.programs(t), []string{env}
	d.start()
	t.Cleanup(d.kill)
	wire, url := record(t, d.url())
	alice, bob, carol := newTalker(t, programs, "alice", url), newTalker(t, programs, "bob", url), newTalker(t, programs, "carol", url)
	alice.env, bob.env, carol.env = append(alice.env, env), append(bob.env, env), append(carol.env, env)
	bob.must("send", "@alice", "a start under her first prekey")
	bob.start(filepath.Join(programs, "posthorn"), "--home", bob.home, "read", "--follow")
	alice.start(filepath.Join(programs, "talker"), alice.home)
	alice.say("bob 2")
	first := []generation{alice.newestPrekey(0, nil), bob.newestPrekey(0, nil)}

	// Eight days on, both have rotated, and the first prekeys wait for stragglers.
	move(8 * aDay)
	d.signsAnew()
	second := []generation{alice.newestPrekey(1, &first[0]), bob.newestPrekey(1, &first[1])}
	alice.say("bob 2")
	// Whether Alice or Bob starts their next session is chance; Carol has none.
	carol.must("send", "@bob", "a start under his second prekey")
	bob.meets(carol)
	alice.holds(first[0], second[0])
	bob.holds(first[1], second[1])
	if got := alice.stolen(wire, bob)[first[0].hash]; !strings.Contains(got, "a start under her first prekey") {
		t.Fatalf("a thief of Alice's profile reads %q: the test shows nothing", got)
	}
	if got := bob.stolen(wire, carol)[second[1].hash]; !strings.Contains(got, "a start under his second prekey") {
		t.Fatalf("a thief of Bob's profile reads %q: the test shows nothing", got)
	}

	// 30 days of validity and 30 days and 10 minutes of retention after the first.
	move(61 * aDay)
	d.signsAnew()
	alice.lets(first[0])
	bob.lets(first[1])
	alice.holds(second[0])
	bob.holds(second[1])
	if got := alice.stolen(wire, bob)[first[0].hash]; got != "" {
		t.Errorf("a thief of Alice's profile reads %q under her erased prekey", got)
	}
	move(70 * aDay)
	alice.lets(second[0])
	bob.lets(second[1])
	if got := bob.stolen(wire, carol)[second[1].hash]; got != "" {
		t.Errorf("a thief of Bob's profile reads %q under his erased prekey", got)
	}
	for i, who := range []*talker{alice, bob} {
		who.collect()
		who.searchFor(v, mustBeGone, first[i], second[i])
	}
}

// generation is one prekey of a device: its bundle, and the private halves as
// they were drawn.
type generation struct {
	hash      account.BundleHash
	ecdh, kem created
}

// newestPrekey waits until a device has drawn its prekey number n, and has
// published the bundle. before is the one before, which must be another.
func (w *talker) newestPrekey(n int, before *generation) (g generation) {
	w.t.Helper()
	published := false
	w.until("the next prekey is published", func() bool {
		g.ecdh, g.kem = w.drawn("prekey ecdh", n), w.drawn("prekey kem", n)
		if g.ecdh.bytes == nil || g.kem.bytes == nil {
			return false
		}
		w.inCopy(func(tx *localdb.Tx) error {
			newest, err := tx.NewestPrekey(account.PQ3A)
			g.hash, published = newest.Hash, newest.Published
			return err
		})
		return published
	})
	if before != nil && before.hash == g.hash {
		w.t.Fatalf("%s: prekey %d is the one before", w.name, n)
	}
	return g
}

// drawn is secret number n of a kind, or nothing while there is none.
func (w *talker) drawn(kind string, n int) created {
	w.t.Helper()
	for _, c := range readSecrets(w.t, w.secrets) {
		if c.Kind != kind {
			continue
		}
		if n--; n < 0 {
			return c
		}
	}
	return created{}
}

// until waits for what a running process does by itself.
func (w *talker) until(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not within %v: %s", w.name, patience, what)
		}
	}
}

// meets waits until somebody who has written is a contact.
func (w *talker) meets(from *talker) {
	w.t.Helper()
	w.until("the first text of @"+from.name+" arrives", func() (met bool) {
		w.inCopy(func(tx *localdb.Tx) error {
			_, err := tx.ContactByName(account.Name(from.name))
			met = err == nil
			return nil
		})
		return met
	})
}

// private is what the profile holds of the private half of a bundle.
func (w *talker) private(g generation) (held []byte) {
	w.t.Helper()
	w.inCopy(func(tx *localdb.Tx) error {
		rows, err := tx.Prekeys()
		for _, p := range rows {
			if p.Hash == g.hash {
				held = bytes.Clone(p.Private)
			}
		}
		return err
	})
	return held
}

// holds wants the profile to have the very bytes that were drawn.
func (w *talker) holds(all ...generation) {
	w.t.Helper()
	for i, g := range all {
		held := w.private(g)
		if !bytes.Contains(held, g.ecdh.bytes) || !bytes.Contains(held, g.kem.bytes) {
			w.t.Fatalf("%s: prekey %d of %d is not in the profile", w.name, i, len(all))
		}
	}
}

// lets waits until the profile has let go of a prekey.
func (w *talker) lets(g generation) {
	w.t.Helper()
	w.until("a prekey past its retention is erased", func() bool { return len(w.private(g)) == 0 })
}

// searchFor looks for private halves in the process, in every file of the
// profile, and in all key material that the profile opens to its passphrase.
func (w *talker) searchFor(v variant, mustBeGone bool, all ...generation) {
	w.t.Helper()
	var gone []created
	for _, g := range all {
		gone = append(gone, g.ecdh, g.kem)
	}
	opened := newHaystack(bytesOf(gone))
	opened.search("the opened profile", w.held())
	if len(opened.found) > 0 {
		w.t.Errorf("%d erased prekeys are behind the passphrase", len(opened.found))
	}
	_, live := w.erased()
	w.wantGone(v, mustBeGone, gone, live)
}

// stolen is what a thief of this profile reads of recorded session starts from
// somebody with all keys in it: the plaintexts, by the bundle that was used.
func (w *talker) stolen(wire *recorder, from *talker) map[account.BundleHash]string {
	w.t.Helper()
	plain := map[account.BundleHash]string{}
	thief := thief{}
	var peer account.Party
	w.inCopy(func(tx *localdb.Tx) error { return thief.rob(tx, account.Name(from.name), &peer) })
	wire.mu.Lock()
	defer wire.mu.Unlock()
	for _, e := range wire.envelopes {
		m, err := pq3.ParseMessage(e.GetPayload())
		if err != nil || !bytes.Equal(e.GetDeviceId(), thief.device[:]) {
			continue
		}
		for day := range 80 { // the time is the thief's to choose
			now := time.Now().Add(time.Duration(day) * aDay)
			a, err := pq3.Accept(thief.me, peer, m, pq3.AcceptOptions{Prekeys: thief, Replays: thief}, now)
			if err == nil {
				plain[a.Bundle] += string(a.Plaintext)
				break
			}
		}
	}
	return plain
}

// thief has a copy of a profile and its passphrase, and forgets nothing.
type thief struct {
	me      *pq3.Identity
	device  account.DeviceID
	prekeys map[account.BundleHash]*pq3.Prekey
}

// rob takes every key of a profile, and the public ones of a contact.
func (t *thief) rob(tx *localdb.Tx, from account.Name, peer *account.Party) error {
	profile, err := tx.Profile()
	if err != nil {
		return err
	}
	roster, err := account.ReplayRoster(profile.Statements)
	if err != nil {
		return err
	}
	device, _ := roster.Device(profile.Device)
	key, err := profile.KeySeeds.SigningKey()
	if err != nil {
		return err
	}
	t.device = profile.Device
	if t.me, err = pq3.NewIdentity(account.Party{Account: profile.Account, Device: device}, key); err != nil {
		return err
	}
	rows, err := tx.Prekeys()
	if err != nil {
		return err
	}
	t.prekeys = map[account.BundleHash]*pq3.Prekey{}
	for _, row := range rows {
		if len(row.Private) == 0 {
			continue
		}
		if t.prekeys[row.Hash], err = pq3.ParsePrekey(row.Private); err != nil {
			return err
		}
	}
	contact, err := tx.ContactByName(from)
	if err != nil {
		return err
	}
	theirs, err := account.ReplayRoster(contact.Statements)
	if err == nil {
		*peer = account.Party{Account: contact.Account, Device: theirs.Devices()[0]}
	}
	return err
}

// Prekey finds what was in the profile.
func (t thief) Prekey(hash account.BundleHash) (*pq3.Prekey, bool) {
	p, ok := t.prekeys[hash]
	return p, ok
}

// Seen is no: a thief keeps no replay records.
func (thief) Seen(pq3.ReplayKey) bool { return false }

// BundleStarts is none, for that reason.
func (thief) BundleStarts(account.BundleHash) int { return 0 }

// DeviceStarts is none as well.
func (thief) DeviceStarts(account.DeviceID, time.Time) int { return 0 }
