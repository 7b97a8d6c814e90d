package client

import (
	"context"
	"sync"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
)

// duties are the devices that may be owed something: a receipt, the answer to
// a KEM key, a request, a heartbeat. It only says where to look; what is owed
// is in the database.
type duties struct {
	mu      sync.Mutex
	devices map[account.DeviceID]account.ID
	room    bool // waiting messages were opened or dropped
	urgent  bool // news say how somebody stands to the user
}

func newDuties() *duties { return &duties{devices: map[account.DeviceID]account.ID{}} }

func (d *duties) add(owner account.ID, device account.DeviceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.devices[device] = owner
}

func (d *duties) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.devices) > 0
}

// take hands all of them to the caller.
func (d *duties) take() map[account.DeviceID]account.ID {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.devices
	d.devices = map[account.DeviceID]account.ID{}
	return taken
}

// madeRoom notes that the waiting buffer has shrunk.
func (d *duties) madeRoom() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = true
}

// takeRoom reports and forgets whether it has.
func (d *duties) takeRoom() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	room := d.room
	d.room = false
	return room
}

// hurry notes that news are to be taken in before the next delivery: it may be of
// somebody whom the user has blocked on another device.
func (d *duties) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.urgent = true
}

// takeUrgent reports and forgets whether there are such news.
func (d *duties) takeUrgent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	urgent := d.urgent
	d.urgent = false
	return urgent
}

// oweContacts looks after every device of every contact.
func (c *Client) oweContacts(ctx context.Context) error {
	contacts, err := c.contacts(ctx)
	if err != nil {
		return err
	}
	me, err := c.knownByID(ctx, c.profile.Account)
	if err != nil {
		return err
	}
	for _, peer := range me.parties() {
		if peer.Device.ID != c.profile.Device {
			c.duties.add(peer.Account, peer.Device.ID)
		}
	}
	for _, contact := range contacts {
		if contact.State != localdb.Friend {
			continue
		}
		roster, err := storedRoster(contact)
		if err != nil {
			return err
		}
		for _, device := range roster.Devices() {
			c.duties.add(contact.Account, device.ID)
		}
	}
	return nil
}

func (c *Client) contacts(ctx context.Context) (rows []localdb.Contact, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.Contacts()
		return err
	})
	return rows, err
}
