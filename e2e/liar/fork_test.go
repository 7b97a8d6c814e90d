package liar

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/pq3"
)

// contact is what contact show --json says of somebody.
type contact struct {
	Verified string
	Devices  []string
}

func (p *person) contact(name account.Name) (c contact) {
	p.t.Helper()
	text := p.must("contact", "show", "@"+string(name), "--json")
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		p.t.Fatalf("contact show: %v\n%s", err, text)
	}
	return c
}

// grows makes a longer roster a puppet's own at the server, with a bundle for the
// device that it adds.
func (o *operator) grows(p *puppet, to *account.Roster, device *account.Device, key *account.SigningKey) {
	o.t.Helper()
	me, err := pq3.NewIdentity(account.Party{Account: to.ID(), Device: device}, key)
	if err != nil {
		o.t.Fatal(err)
	}
	added := puppet{t: o.t, me: me}
	statements := to.Statements()
	if err := o.asDevice(p, func(c *transport.Client) error {
		return c.UpdateRoster(within(o.t), statements[len(statements)-1], [][]byte{added.bundle(0, pq3.BundleLife)})
	}); err != nil {
		o.t.Fatal(err)
	}
	p.roster = to
}

// A thief has the key of the victim's device, and the operator helps: a second
// statement with a number that is taken goes into the log, in all form. Whoever
// knows the first sends nothing until the user has reviewed it, has evidence
// against the account's key, and takes the list that the log holds then.
func TestTA17V224ForkInTheLog(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	laptop, laptopKey := newDevice(t)
	thief, thiefKey := newDevice(t)
	stolen := victim.adds(thief, thiefKey) // from the roster before the laptop
	o.grows(victim, victim.adds(laptop, laptopKey), laptop, laptopKey)
	genuine := victim.record()
	alice.must("send", "@victim", "to both of your devices")
	if c := alice.contact("victim"); len(c.Devices) != 2 || c.Verified != "unverified" {
		t.Fatalf("before the theft: %+v", c)
	}

	publish(t, o.log, kt.RecordOf("victim", stolen))
	alice.front.sees(o.log, map[account.Name]*account.Roster{"victim": stolen})
	alice.refuses("V-224", "send", "@victim", "to whom?")
	e := o.convicts(alice, kt.KindRoster, "V-224")
	if e.Record.Head != stolen.Head() || len(e.Shared) != 1 || len(e.Chains[0]) != 1 {
		t.Errorf("the evidence is of something else: %d statements in common", len(e.Shared))
	}
	if shown := alice.must("transparency", "verify", alice.evidenceFiles()[0]); !strings.Contains(shown, "two different statements with the number 1") {
		t.Errorf("transparency verify: %s", shown)
	}
	if c := alice.contact("victim"); c.Verified != "changed" {
		t.Errorf("during the review: %+v", c)
	}

	// The victim complains, and the list is right again: that is no review yet.
	publish(t, o.log, genuine)
	alice.front.honest()
	alice.refuses("V-224", "send", "@victim", "still to whom?")
	alice.must("contact", "accept", "@victim")
	if c := alice.contact("victim"); c.Verified != "unverified" || len(c.Devices) != 2 {
		t.Errorf("after the review: %+v", c)
	}
	alice.must("send", "@victim", "to you")
	id := victim.roster.ID()
	mine := map[string]int{recipient(id[:], victim.device().ID[:]): 0, recipient(id[:], laptop.ID[:]): 0}
	for _, to := range alice.front.envelopes() {
		if _, known := mine[to]; !known {
			t.Errorf("an envelope for %s, which is not the victim's", to)
		}
		mine[to]++
	}
	for to, n := range mine {
		if n < 2 {
			t.Errorf("%d envelopes for %s", n, to)
		}
	}
}
