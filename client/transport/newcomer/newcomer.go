// Package newcomer makes devices that no server knows yet, with what they would
// register and publish.
//
// The package is for tests alone.
package newcomer

import (
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/pq3"
)

// Device is an account with one device.
type Device struct {
	transport.Device
	Statement []byte   // the account's first
	Bundles   [][]byte // each a second newer than the one before, good for a day
}

// New makes fresh keys, and so many bundles.
func New(t testing.TB, bundles int) Device {
	t.Helper()
	entropy, now := pq3.SystemEntropy(), time.Now()
	key, _ := account.GenerateSigningKey(entropy.Read)
	record := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: uint64(now.UnixMilli())}
	entropy.Read(record.ID[:])
	statement, err := account.NewAccount(record, key, record.CreatedAt, nil)
	if err != nil {
		t.Fatal(err)
	}
	roster, err := account.StartRoster(statement)
	if err != nil {
		t.Fatal(err)
	}
	me, err := pq3.NewIdentity(account.Party{Account: roster.ID(), Device: record}, key)
	if err != nil {
		t.Fatal(err)
	}
	d := Device{Device: transport.Device{Account: roster.ID(), ID: record.ID, Key: key}, Statement: statement.Marshal()}
	for i := range bundles {
		prekey, err := pq3.NewPrekey(me, account.PQ3A, now.Add(time.Duration(i)*time.Second), now.Add(24*time.Hour), entropy)
		if err != nil {
			t.Fatal(err)
		}
		d.Bundles = append(d.Bundles, prekey.Bundle().Marshal())
	}
	return d
}
