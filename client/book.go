package client

import (
	"crypto/sha512"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/pq3"
)

// book is the sessions with one peer device inside one transaction. What it
// saves becomes real when the transaction commits, and not before.
type book struct {
	client   *Client
	tx       *localdb.Tx
	peer     account.Party
	now      time.Time
	sessions pq3.Sessions
	// superseded is when each stored session ceased to be the one to send on,
	// in ms; 0 for the one that is.
	superseded map[pq3.SessionID]uint64
}

// openBook loads the sessions with a device.
func (c *Client) openBook(tx *localdb.Tx, peer account.Party, now time.Time) (*book, error) {
	b := &book{client: c, tx: tx, peer: peer, now: now, superseded: map[pq3.SessionID]uint64{}}
	rows, err := tx.Sessions(peer.Device.ID)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		s, err := b.restore(row)
		if err != nil {
			return nil, err
		}
		b.sessions, _ = b.sessions.With(s)
		b.superseded[s.ID()] = row.SupersededAt
	}
	return b, nil
}

func (b *book) restore(row localdb.Session) (*pq3.Session, error) {
	skipped, err := b.tx.Skipped(row.Device, row.ID)
	if err != nil {
		return nil, err
	}
	return pq3.RestoreSession(b.client.me, b.peer, b.client.policy, row.State, skipped)
}

// save stores the next state of a session, or a new one. The session to send
// on may change by it; the others then begin their last days.
func (b *book) save(next *pq3.Session) error {
	earlier := b.sessions.Find(next.ID())
	kept, dropped := b.sessions.With(next)
	b.sessions = kept
	if dropped != nil {
		delete(b.superseded, dropped.ID())
		if err := b.tx.DeleteSession(b.peer.Device.ID, dropped.ID()); err != nil {
			return err
		}
	}
	if dropped != next {
		if err := errors.Join(b.put(next), b.putSkipped(next, earlier)); err != nil {
			return err
		}
	}
	return b.markSuperseded()
}

// putSkipped rewrites the blocks of skipped keys that the next state changed.
func (b *book) putSkipped(next, earlier *pq3.Session) error {
	put, gone := next.SkippedChanges(earlier)
	for _, id := range gone {
		if err := b.tx.DeleteSkipped(b.peer.Device.ID, next.ID(), id); err != nil {
			return err
		}
	}
	for _, row := range put {
		err := b.tx.PutSkipped(b.peer.Device.ID, next.ID(), row.ID, row.Keys)
		secret.Wipe(row.Keys)
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes a session without its skipped keys. What was marshalled for it
// does not outlive the call.
func (b *book) put(s *pq3.Session) error {
	state := s.MarshalState()
	defer secret.Wipe(state)
	return b.tx.PutSession(localdb.Session{
		Device: b.peer.Device.ID, ID: s.ID(), State: state,
		StartTime: s.StartTime(), SupersededAt: b.superseded[s.ID()],
	})
}

// markSuperseded starts the clock of every session that is no longer sent on.
func (b *book) markSuperseded() error {
	for _, s := range b.sessions[1:] {
		if b.superseded[s.ID()] != 0 {
			continue
		}
		b.superseded[s.ID()] = millis(b.now)
		if err := b.tx.SupersedeSession(b.peer.Device.ID, s.ID(), millis(b.now)); err != nil {
			return err
		}
	}
	return nil
}

// needsSession reports whether nothing can be sealed before a new session
// exists: there is none, or the healing contract forbids the one there is.
func (b *book) needsSession() bool {
	s := b.sessions.Sending()
	return s == nil || errors.Is(s.CanSend(b.now), pq3.ErrNewSessionNeeded)
}

// errNeedBundle rolls a transaction back so that a bundle can be fetched
// outside it.
var errNeedBundle = errors.New("client: a prekey bundle is needed")

// initiate starts a session from a fetched bundle and remembers how new the
// bundle is, so that an older one is refused from now on.
func (b *book) initiate(bundle *account.Bundle) error {
	device, err := b.tx.PeerDevice(b.peer.Device.ID)
	if _, err := found(err); err != nil {
		return err
	}
	s, err := pq3.Initiate(b.client.me, b.peer, bundle, pq3.InitiateOptions{
		Policy: b.client.policy, After: b.sessions.LastStart(), SeenNotBefore: device.NewestBundle,
	}, b.now, b.client.entropy)
	if err != nil {
		return err
	}
	device.Device, device.Account = b.peer.Device.ID, b.peer.Account
	device.NewestBundle, device.BundleHash = bundle.NotBefore, bundle.Hash()
	if err := b.tx.PutPeerDevice(device); err != nil {
		return err
	}
	return b.save(s)
}

// seal encrypts a message on the sending session and puts the envelope into
// the outbox. It returns the envelope's size in bytes. errNeedBundle says that
// a new session has to come first.
func (b *book) seal(message content.Message, kind localdb.OutgoingKind, force pq3.Force) (int, error) {
	if b.needsSession() {
		return 0, errNeedBundle
	}
	return b.sealOn(b.sessions.Sending(), message, kind, force)
}

// sealOn is seal on a session of the caller's choice.
func (b *book) sealOn(s *pq3.Session, message content.Message, kind localdb.OutgoingKind, force pq3.Force) (int, error) {
	plaintext, err := content.Encode(message)
	if err != nil {
		return 0, err
	}
	next, wire, err := s.SealWith(b.client.entropy, b.now, plaintext, nil, force)
	if err != nil {
		return 0, err
	}
	if err := b.save(next); err != nil {
		return 0, err
	}
	return len(wire), b.enqueue(wire, sha512.Sum384(wire), message.ID, kind)
}

// enqueue puts bytes into the outbox under a new random envelope id, which
// stays with them through every retry.
func (b *book) enqueue(payload []byte, hash [48]byte, id content.ID, kind localdb.OutgoingKind) error {
	row := localdb.Outgoing{
		Device: b.peer.Device.ID, Account: b.peer.Account, Payload: payload,
		Hash: hash, Content: id, Kind: kind, Created: millis(b.now),
	}
	b.client.entropy.Read(row.Envelope[:])
	_, err := b.tx.PutOutgoing(row)
	return err
}

// newMessage gives a body an id of its own and the time of writing.
func (c *Client) newMessage(body content.Body, now time.Time) content.Message {
	m := content.Message{SentAt: millis(now), Body: body}
	c.entropy.Read(m.ID[:])
	return m
}

// checkBundle refuses every suite but the one this client offers, before any
// key of the bundle is used.
func checkBundle(bundle *account.Bundle) error {
	if bundle.Suite != account.PQ3A {
		return reject.New("V-105", ErrNoCommonSuite, "the prekey bundle is for "+bundle.Suite.String())
	}
	return nil
}
