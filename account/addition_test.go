package account

import (
	"bytes"
	"testing"
)

// A new device builds the body that it signs from its place in the chain; the
// author, who has the roster, must come to the same bytes.
func TestAdditionBodyIsWhatTheAuthorProposes(t *testing.T) {
	first, second := newActor("first"), newActor("second")
	founding, err := NewAccount(first.Device, first.key, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	roster, err := StartRoster(founding)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := AdditionBody(roster.ID(), roster.Seq()+1, roster.Head(), 7, second.Device)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := roster.ProposeBody(first.author(), 7, AddDevice{second.Device})
	if err != nil || !bytes.Equal(mine, theirs) {
		t.Fatal("two bodies for one addition: ", err)
	}
	byFirst, err := SignBody(first.key, theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	bySecond, err := SignBody(second.key, mine, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := roster.Assemble(first.author(), theirs, byFirst, []Signature{*bySecond}); err != nil {
		t.Fatal(err)
	}
	if _, err := AdditionBody(roster.ID(), 1, roster.Head(), 7, &Device{}); err == nil {
		t.Fatal("a device without a key has a body")
	}
}
