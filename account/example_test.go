package account_test

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
)

// An account starts with one device and gains another. Whoever knows its id
// can check the whole roster.
func Example() {
	random := func(p []byte) { _, _ = rand.Read(p) }
	now := uint64(time.Now().UnixMilli())
	newDevice := func() (*account.Device, *account.SigningKey) {
		key, _ := account.GenerateSigningKey(random) // keep the seeds sealed
		d := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: now}
		random(d.ID[:])
		return d, key
	}

	phone, phoneKey := newDevice()
	first, err := account.NewAccount(phone, phoneKey, now, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	roster, _ := account.StartRoster(first)

	laptop, laptopKey := newDevice()
	author := account.Author{Device: &phone.ID, Key: phoneKey}
	second, err := roster.Propose(author, []*account.SigningKey{laptopKey}, now, rand.Reader, account.AddDevice{Device: laptop})
	if err != nil {
		fmt.Println(err)
		return
	}
	roster, _ = roster.Apply(second)

	replayed, err := account.ReplayRoster(roster.Statements())
	fmt.Println(len(replayed.Devices()), "devices,", err)
	fmt.Println("same account:", replayed.ID() == roster.ID())
	// Output:
	// 2 devices, <nil>
	// same account: true
}
