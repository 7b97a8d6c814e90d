package server

import (
	"context"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/server/store"
)

// mailboxAddress is what a sender's envelope needs to know of a device.
type mailboxAddress struct {
	box      store.Box
	lastSeen time.Time
	readAt   time.Time
}

const (
	// maxAddresses bounds the memory for addresses, about 200 bytes each.
	maxAddresses = 1 << 16
	// addressLife is how long an address may be used without looking again. A
	// device keeps its mailbox for good, and a dropped mailbox refuses by
	// itself, so only lastSeen can be out of date, which counts in days.
	addressLife = time.Minute
	// seenLately is how recently a device must have been there to be remembered
	// here: whether another one is gone is for its record alone to say.
	seenLately = 7 * 24 * time.Hour
)

// addresses remembers where devices get their mail. A device's record carries
// its prekey bundle, so reading it for every envelope would be most of the
// work of a send, and a round trip each where the store is another process.
type addresses struct {
	mu      sync.Mutex
	known   map[deviceName]mailboxAddress
	numbers map[account.ID]rosterNumber
}

// rosterNumber is the number of an account's newest statement. Another node may
// have stored a later one up to tokenTrust ago.
type rosterNumber struct {
	seq    uint64
	readAt time.Time
}

// deviceName is an account id followed by a device id.
type deviceName [len(account.ID{}) + len(account.DeviceID{})]byte

func newDeviceName(id account.ID, device account.DeviceID) (n deviceName) {
	copy(n[copy(n[:], id[:]):], device[:])
	return n
}

func (a *addresses) find(n deviceName, now time.Time) (mailboxAddress, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.known[n]
	return found, ok && now.Sub(found.readAt).Abs() < addressLife
}

func (a *addresses) note(n deviceName, found mailboxAddress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxAddresses {
		clear(a.known)
	}
	a.known[n] = found
}

// address finds a device's mailbox and when the device was last there.
// store.ErrNotFound says that there is no such device; that is never taken from
// memory.
func (d *directory) address(ctx context.Context, id account.ID, device account.DeviceID, now time.Time) (mailboxAddress, error) {
	name := newDeviceName(id, device)
	if found, ok := d.addresses.find(name, now); ok {
		return found, nil
	}
	record, _, err := d.device(ctx, id, device)
	if err != nil {
		return mailboxAddress{}, err
	}
	found := mailboxAddress{box: record.box, lastSeen: time.UnixMilli(int64(record.lastSeen)), readAt: now}
	if now.Sub(found.lastSeen) < seenLately {
		d.addresses.note(name, found)
	}
	return found, nil
}

// forget drops what is remembered of an account whose roster has changed.
func (a *addresses) forget(id account.ID, removed []*account.Device) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.numbers, id)
	for _, device := range removed {
		delete(a.known, newDeviceName(id, device.ID))
	}
}

// newest is the number of an account's newest statement; store.ErrNotFound.
func (d *directory) newest(ctx context.Context, id account.ID, now time.Time) (uint64, error) {
	a := &d.addresses
	a.mu.Lock()
	found, ok := a.numbers[id]
	a.mu.Unlock()
	if ok && now.Sub(found.readAt).Abs() < tokenTrust {
		return found.seq, nil
	}
	record, _, err := d.account(ctx, id)
	if err != nil {
		return 0, err
	}
	found = rosterNumber{uint64(len(record.statements) - 1), now}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.numbers) >= maxAddresses {
		clear(a.numbers)
	}
	a.numbers[id] = found
	return found.seq, nil
}
