package client

import (
	"context"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/pq3"
)

// Status is what a person may want to know about this profile.
type Status struct {
	Account   account.Name
	AccountID account.ID
	Server    string
	Connected bool // the stream is open, or the server answers just now
	Removed   bool // this device is off the account; then nobody asks the server
	Devices   int  // of this account
	Outbox    int  // envelopes and texts that the server does not have yet
	Unread    int
}

// reachTimeout bounds the look at the server that Status takes.
const reachTimeout = 2 * time.Second

// Status describes the profile. When no stream is open it asks the server for
// a sign of life and waits at most two seconds for it.
func (c *Client) Status(ctx context.Context) (Status, error) {
	s := Status{Account: c.profile.Name, AccountID: c.profile.Account, Server: c.profile.ServerURL}
	me, err := c.knownByID(ctx, c.profile.Account)
	if err != nil {
		return Status{}, err
	}
	s.Devices = len(me.roster.Devices())
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		if s.Removed, err = tx.Removed(); err != nil {
			return err
		}
		if s.Outbox, err = tx.CountPending(); err != nil {
			return err
		}
		s.Unread, err = tx.CountUnshown()
		return err
	}); err != nil {
		return Status{}, err
	}
	if s.Connected, _ = c.line.state(); !s.Connected && !s.Removed {
		asking, cancel := context.WithTimeout(ctx, reachTimeout)
		defer cancel()
		s.Connected = c.server.Reach(asking) == nil
	}
	return s, nil
}

// Connected reports whether the stream to the server is open.
func (c *Client) Connected() bool {
	up, _ := c.line.state()
	return up
}

// Conversation is the security state of one contact.
type Conversation struct {
	Contact account.Name
	Level   string // the lowest of its devices; empty while there is no session
	Devices []DeviceSession
}

// DeviceSession is the state of the session to send on with one device. Without
// a session only DeviceID is set.
type DeviceSession struct {
	DeviceID           account.DeviceID
	Suite              string // "PQ3A" or "PQ3"
	Level              string // "3A" or "3"
	Session            string
	Epoch              uint32
	KEMRekeys          int // completed after the start
	MessagesSinceRekey int
	LastRekeyAt        *time.Time // nil: none yet
	RekeyDueAt         *time.Time // nil: no session
	KeyGeneratedAt     *time.Time // since when a leak would not have healed
	WaitingForPeer     bool
}

// Sessions describes the sessions with a contact. Error: ErrUnknownName.
func (c *Client) Sessions(ctx context.Context, name account.Name) (Conversation, error) {
	p, err := c.contact(ctx, name)
	if err != nil {
		return Conversation{}, err
	}
	v := Conversation{Contact: name}
	for _, peer := range p.parties() {
		row := DeviceSession{DeviceID: peer.Device.ID}
		if err := c.readBook(ctx, peer, func(b *book) error {
			if s := b.sessions.Sending(); s != nil {
				row.fill(s.Status(b.now))
			}
			return nil
		}); err != nil {
			return Conversation{}, err
		}
		if row.Level != "" && (v.Level == "" || row.Level == levelName(account.PQ3)) {
			v.Level = row.Level
		}
		v.Devices = append(v.Devices, row)
	}
	return v, nil
}

func (d *DeviceSession) fill(s pq3.Status) {
	d.Suite, d.Level, d.Session = s.Suite.String(), s.Level, s.Session.String()
	d.Epoch, d.KEMRekeys, d.MessagesSinceRekey = s.Epoch, s.KEMRekeys, s.MessagesSinceRekey
	d.RekeyDueAt, d.KeyGeneratedAt = &s.RekeyDue, &s.KeyGenerated
	d.WaitingForPeer = s.WaitingForPeer
	if !s.LastRekey.IsZero() {
		d.LastRekeyAt = &s.LastRekey
	}
}

// Notices returns what the user must be told once, oldest first, and forgets
// it.
func (c *Client) Notices(ctx context.Context) (texts []string, err error) {
	waiting := 0
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		waiting, err = tx.CountNotices()
		return err
	}); err != nil || waiting == 0 {
		return nil, err
	}
	err = c.update(ctx, func(tx *localdb.Tx) error {
		rows, err := tx.TakeNotices()
		for _, row := range rows {
			texts = append(texts, row.Text)
		}
		return err
	})
	return texts, err
}
