package pq3_test

import (
	"fmt"
	"time"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// Two devices, from the first message to the reply. A real program stores each
// next session before the message leaves or the text is shown.
func Example() {
	ent, now := pq3.SystemEntropy(), time.Now()
	alice, bob := pq3test.NewIdentity("alice"), pq3test.NewIdentity("bob")

	// Bob publishes a bundle and keeps its private half.
	prekey, err := pq3.NewPrekey(bob, bob.Party().Device.Suites[0], now, now.Add(pq3.BundleLife), ent)
	check(err)

	// Alice starts a session from it and seals a text.
	atAlice, err := pq3.Initiate(alice, bob.Party(), prekey.Bundle(), pq3.InitiateOptions{}, now, ent)
	check(err)
	atAlice, wire, err := atAlice.Seal(ent, now, []byte("The post has come"), nil)
	check(err)

	// Bob accepts. Session, text and replay key go into one transaction.
	m, err := pq3.ParseMessage(wire)
	check(err)
	accepted, err := pq3.Accept(bob, alice.Party(), m, pq3.AcceptOptions{
		Prekeys: pq3test.PrekeyMap{prekey.Hash(): prekey}, Replays: &pq3test.ReplayLog{},
	}, now)
	check(err)
	fmt.Printf("%s, %d bytes\n", accepted.Plaintext, len(wire))

	// Bob's reply opens the next epoch.
	_, wire, err = accepted.Session.Seal(ent, now, []byte("So it has"), nil)
	check(err)
	m, err = pq3.ParseMessage(wire)
	check(err)
	atAlice, text, err := atAlice.Open(now, m)
	check(err)
	status := atAlice.Status(now)
	fmt.Printf("%s, level %s, epoch %d\n", text, status.Level, status.Epoch)

	// Output:
	// The post has come, 5225 bytes
	// So it has, level 3A, epoch 1
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
