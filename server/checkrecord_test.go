package server

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/account"
)

// TestCheckRecordReadsWhatTheServerWrote: the records of a real registration
// are in order, and no change of one goes unnoticed that the server would trip
// over.
func TestCheckRecordReadsWhatTheServerWrote(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	records := map[string][]byte{}
	for _, key := range []string{
		nameKey("alice"), accountKey(alice.party.Account), deviceKey(alice.party.Account, alice.party.Device.ID),
	} {
		value, _, err := o.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		records[key] = value
		if err := CheckRecord(key, value); err != nil {
			t.Errorf("sound: %v", err)
		}
		for name, bad := range map[string][]byte{"cut": value[:len(value)-1], "longer": append(bytes.Clone(value), 0), "empty": nil} {
			if CheckRecord(key, bad) == nil && (name != "empty" || key[:4] != "devi") { // an empty one is deleted
				t.Errorf("%s: a record of %d bytes passes %s", key[:4], len(value), name)
			}
		}
	}
	forged := bytes.Clone(records[accountKey(alice.party.Account)])
	forged[len(forged)-1] ^= 1 // in the last signature of the roster
	for name, c := range map[string]struct {
		key   string
		value []byte
	}{
		"unknown kind":      {"keys/alice", nil},
		"no name":           {nameKey(account.Name("A!")), records[nameKey("alice")]},
		"forged roster":     {accountKey(alice.party.Account), forged},
		"somebody else's":   {accountKey(bob.party.Account), records[accountKey(alice.party.Account)]},
		"a bundle of bytes": {deviceKey(bob.party.Account, bob.party.Device.ID), deviceRecord{bundle: []byte("none")}.marshal()},
	} {
		if CheckRecord(c.key, c.value) == nil {
			t.Errorf("%s: passes", name)
		}
	}
}
