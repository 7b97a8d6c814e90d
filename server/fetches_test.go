package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// callAs asks the directory for a bundle as an account would, past the rate of
// the account itself, so that what is measured is the bound for this device.
func (o *office) callAs(who, of *person) error {
	service := &directoryService{directory: o.srv.auth.directory}
	ctx := context.WithValue(o.t.Context(), callerKey{}, caller{account: who.party.Account, device: who.party.Device.ID})
	_, err := service.FetchBundle(ctx, &posthornv1.FetchBundleRequest{AccountId: of.party.Account[:], DeviceId: of.party.Device.ID[:]})
	return err
}

// tenThousand asks for the victim's bundle 10,000 times, by turns, and says how
// many were answered.
func (o *office) tenThousand(victim *person, by ...*person) (answered int) {
	o.t.Helper()
	for i := range 10_000 {
		err := o.callAs(by[i%len(by)], victim)
		if err == nil {
			answered++
			continue
		}
		if connect.CodeOf(err) != connect.CodeResourceExhausted {
			o.t.Fatal(err)
		}
	}
	return answered
}

// reported is what a device's stream says of fetches until it has caught up.
func (p *person) reported() (n uint64) {
	p.t.Helper()
	stream := p.listen()
	for {
		answer, err := stream.stream.Receive()
		if err != nil {
			p.t.Fatal(err)
		}
		n += answer.GetBundleFetches()
		if answer.GetCaughtUp() {
			return n
		}
	}
}

// TestA28 is the attack of fetching somebody's bundle over and over, by one
// account and by a hundred: each is slowed down, the victim stays reachable for
// everybody else, and is told.
func TestA28BundlesFetchedOverAndOver(t *testing.T) {
	for _, attackers := range []int{1, 100} {
		t.Run(fmt.Sprint(attackers), func(t *testing.T) {
			o := open(t)
			victim, friend := o.join("victim"), o.join("friend")
			var by []*person
			for i := range attackers {
				by = append(by, o.join(fmt.Sprintf("attacker%d", i)))
			}
			began := time.Now()
			answered := o.tenThousand(victim, by...)
			burst := DefaultLimits().PairBundles.Burst
			refilled := int(time.Since(began)/time.Second) + 1
			if most := attackers * (burst + refilled); answered > most || answered < min(10_000, attackers*burst) {
				t.Errorf("%d fetches were answered, want %d to %d", answered, attackers*burst, most)
			}
			if _, err := friend.line.directory.FetchBundle(bearer(t, friend.token), &posthornv1.FetchBundleRequest{
				AccountId: victim.party.Account[:], DeviceId: victim.party.Device.ID[:],
			}); err != nil {
				t.Errorf("the victim is out of reach for a friend: %v", err)
			}
			if n := victim.reported(); n != 10_001 {
				t.Errorf("the victim was told of %d fetches, want 10001", n)
			}
			if n := victim.reported(); n != 0 {
				t.Errorf("and told again, of %d", n)
			}
			if n := friend.reported(); n != 0 {
				t.Errorf("somebody else was told of %d", n)
			}
		})
	}
}

func TestV89OneAccountFetchesABundleSoOften(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	slow := newFetches(Rate{PerSecond: 0.001, Burst: 60})
	o.srv.auth.directory.fetches = slow
	for range slow.pairs.limit.Burst {
		if err := o.callAs(alice, bob); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, o.callAs(alice, bob), connect.CodeResourceExhausted, api.ReasonRateLimited)
	if err := o.callAs(alice, alice); err != nil {
		t.Errorf("another device's bundle: %v", err)
	}
	if err := o.callAs(bob, bob); err != nil {
		t.Errorf("another account: %v", err)
	}
	if _, err := alice.line.directory.FetchBundle(t.Context(), &posthornv1.FetchBundleRequest{}); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("without an account: %v", err)
	}
}

func TestFetchesAreCountedByTheHour(t *testing.T) {
	f, now, device := newFetches(Rate{PerSecond: 1, Burst: 1}), time.Now(), deviceName{1}
	for range manyFetches - 1 {
		f.count(device, now)
	}
	if n := f.unusual(device); n != 0 {
		t.Errorf("%d fetches are unusual", n)
	}
	f.count(device, now.Add(fetchWindow-time.Second))
	if first, again := f.unusual(device), f.unusual(device); first != manyFetches || again != 0 {
		t.Errorf("told of %d, then of %d", first, again)
	}
	f.count(device, now.Add(fetchWindow))
	if n := f.counts[device].n; n != 1 {
		t.Errorf("a new hour begins with %d", n)
	}
	for i := range maxTracked {
		f.count(deviceName{2, byte(i), byte(i >> 8), byte(i >> 16)}, now)
	}
	if len(f.counts) > maxTracked {
		t.Errorf("%d devices are remembered", len(f.counts))
	}
}
