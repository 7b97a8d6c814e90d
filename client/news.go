package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// News is what one own device tells another, SPEC §11.1. Whatever is told is
// written down in the transaction that makes it true, sealed later, and taken
// in any number of times without another effect.
type news interface {
	what() uint8
	marshal() []byte
}

const (
	whatSent = iota + 1
	whatShown
	whatContact
	whatName
	whatDelivered
)

type (
	// newsSent is a message that this account has sent.
	newsSent struct {
		account account.ID
		name    account.Name
		frame   []byte // the encoded message, as its recipient has it
	}
	// newsShown are messages that the user has seen, each with a hash of what it
	// said: two devices that were sent different texts under one id notice.
	newsShown []mark
	// newsContact is how somebody stands to the user.
	newsContact struct {
		account    account.ID
		name       account.Name
		state      localdb.ContactState
		verifiedAt uint64 // ms; 0: not verified
		at         uint64 // ms, when state was decided; the newest counts
	}
	// newsName is what the user calls a device.
	newsName struct{ localdb.DeviceName }
	// newsDelivered are texts that the recipient has confirmed.
	newsDelivered []mark
)

// mark names a message of somebody and what it says. In newsDelivered the hash
// is zero.
type mark struct {
	account account.ID
	id      content.ID
	hash    [32]byte
}

// maxMarks is how many messages one piece of news names.
const maxMarks = 256

func (newsSent) what() uint8      { return whatSent }
func (newsShown) what() uint8     { return whatShown }
func (newsContact) what() uint8   { return whatContact }
func (newsName) what() uint8      { return whatName }
func (newsDelivered) what() uint8 { return whatDelivered }

func (n newsSent) marshal() []byte {
	b := codec.AppendV16(append([]byte(nil), n.account[:]...), []byte(n.name))
	return codec.AppendV32(b, n.frame)
}

func (n newsShown) marshal() []byte     { return appendMarks(n) }
func (n newsDelivered) marshal() []byte { return appendMarks(n) }

func appendMarks(marks []mark) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(marks)))
	for _, m := range marks {
		b = append(append(append(b, m.account[:]...), m.id[:]...), m.hash[:]...)
	}
	return b
}

func (n newsContact) marshal() []byte {
	b := codec.AppendV16(append([]byte(nil), n.account[:]...), []byte(n.name))
	b = binary.BigEndian.AppendUint64(append(b, byte(n.state)), n.verifiedAt)
	return binary.BigEndian.AppendUint64(b, n.at)
}

func (n newsName) marshal() []byte {
	b := codec.AppendV16(append([]byte(nil), n.Device[:]...), []byte(n.Name))
	return binary.BigEndian.AppendUint64(b, n.At)
}

// parseNews reads news strictly. ErrNews.
func parseNews(what uint8, b []byte) (news, error) {
	r := codec.NewReader(b)
	var n news
	var err error
	switch what {
	case whatSent:
		s := newsSent{}
		r.Copy(s.account[:])
		s.name, err = account.ParseName(string(r.V16(64)))
		s.frame = append(s.frame, r.V32(content.MaxSync)...)
		n = s
	case whatShown:
		n = newsShown(takeMarks(r))
	case whatDelivered:
		n = newsDelivered(takeMarks(r))
	case whatContact:
		c := newsContact{}
		r.Copy(c.account[:])
		c.name, err = account.ParseName(string(r.V16(64)))
		c.state, c.verifiedAt, c.at = localdb.ContactState(r.U8()), r.U64(), r.U64()
		if c.state != localdb.Friend && c.state != localdb.Blocked && c.state != localdb.Stranger || c.verifiedAt >= 1<<63 || c.at >= 1<<63-1 {
			err = ErrNews
		}
		n = c
	case whatName:
		d := newsName{}
		r.Copy(d.Device[:])
		d.Name, d.At = string(r.V16(MaxDeviceName)), r.U64()
		if !utf8.ValidString(d.Name) || d.At >= 1<<63 {
			err = ErrNews
		}
		n = d
	default:
		err = ErrNews
	}
	if err != nil || !r.Done() {
		return nil, reject.New("V-221", ErrNews, "")
	}
	return n, nil
}

func takeMarks(r *codec.Reader) (marks []mark) {
	n := int(r.U16())
	if n == 0 || n > maxMarks {
		r.Bytes(r.Len() + 1) // fails
		return nil
	}
	for range n {
		var m mark
		r.Copy(m.account[:])
		r.Copy(m.id[:])
		r.Copy(m.hash[:])
		marks = append(marks, m)
	}
	return marks
}

// hashOf is what devices compare of a message: its words and files.
func hashOf(text string, files []content.File) (hash [32]byte) {
	h := sha256.New()
	h.Write(codec.AppendV32([]byte("posthorn/said/v1"), []byte(text)))
	for _, f := range files {
		h.Write(append(f.ID[:], f.Digest[:]...))
	}
	h.Sum(hash[:0])
	return hash
}

// tell owes news to every other own device, in the transaction that makes them
// true. A device that was removed has nobody to tell.
func (c *Client) tell(tx *localdb.Tx, n news) error {
	if removed, err := tx.Removed(); err != nil || removed {
		return err
	}
	siblings, err := c.siblings(tx)
	for _, s := range siblings {
		if err := c.oweDevice(tx, s.Device.ID, n); err != nil {
			return err
		}
	}
	return err
}

func (c *Client) oweDevice(tx *localdb.Tx, device account.DeviceID, n news) error {
	row := localdb.Owed{Device: device, Account: c.profile.Account, What: n.what(), Item: n.marshal(), At: millis(clock.Now())}
	c.entropy.Read(row.ID[:])
	return tx.PutOwed(row)
}

// tellSent owes the own devices a copy of a message that goes out.
func (c *Client) tellSent(tx *localdb.Tx, to localdb.Contact, message content.Message) error {
	frame, err := content.Encode(message)
	if err != nil {
		return err
	}
	return c.tell(tx, newsSent{account: to.Account, name: to.Name, frame: frame})
}

// tellContact owes the own devices how somebody stands to the user now.
func (c *Client) tellContact(tx *localdb.Tx, id account.ID) error {
	row, err := tx.Contact(id)
	if err != nil || row.State == localdb.Former {
		return err
	}
	return c.tell(tx, newsOf(row))
}

// newsOf says how a contact stands.
func newsOf(row localdb.Contact) newsContact {
	return newsContact{account: row.Account, name: row.Name, state: row.State, verifiedAt: row.VerifiedAt, at: row.StoodAt}
}

// newsLife is how long news wait for what they are about.
const newsLife = 30 * 24 * time.Hour

// takeIn does what the news say that have arrived. News about a message that is
// not here yet wait for it; being offline keeps those that need the directory.
func (c *Client) takeIn(ctx context.Context) error {
	var rows []localdb.Arrived
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.AllArrived()
		return err
	}); err != nil {
		return err
	}
	for _, row := range rows {
		n, err := parseNews(row.What, row.Item)
		if err == nil {
			err = c.takeInOne(ctx, row, n)
		}
		if errors.Is(err, ErrTransparency) {
			continue // it waits for a log that can be believed; mail goes on
		}
		if errors.Is(err, ErrOffline) || errors.Is(err, ErrServer) {
			return nil
		}
		if c.refuse(err) {
			err = c.update(ctx, func(tx *localdb.Tx) error { return tx.DeleteArrived(row.ID) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) takeInOne(ctx context.Context, row localdb.Arrived, n news) error {
	var peer person
	var err error
	switch n := n.(type) {
	case newsSent:
		peer, err = c.findByID(ctx, n.account, false)
	case newsContact:
		peer, err = c.findByID(ctx, n.account, false)
	}
	if err != nil {
		return err
	}
	err = c.update(ctx, func(tx *localdb.Tx) error {
		done, err := c.learn(tx, peer, n)
		if err != nil || !done && clock.Since(instant(row.At)) < newsLife {
			return err
		}
		return tx.DeleteArrived(row.ID)
	})
	c.events.announce()
	return err
}

// learn applies news. done is false while what they are about is not here.
func (c *Client) learn(tx *localdb.Tx, peer person, n news) (done bool, err error) {
	switch n := n.(type) {
	case newsSent:
		return true, learnSent(tx, peer, n)
	case newsShown:
		return c.learnShown(tx, n)
	case newsDelivered:
		for _, m := range n {
			if err := tx.SetMessageState(m.account, m.id, localdb.Delivered); err != nil {
				return false, err
			}
		}
	case newsContact:
		return true, learnContact(tx, peer, n)
	case newsName:
		return true, tx.PutDeviceName(n.DeviceName)
	}
	return true, nil
}

// learnContact takes over how somebody stands to the user, if that was decided
// later than what is known here: news may be old when they arrive. The stricter
// of two at once counts. What was verified before the user reviewed a fork does
// not count after it.
func learnContact(tx *localdb.Tx, peer person, n newsContact) error {
	row, err := meet(tx, peer.row, clock.Now())
	if err != nil || row.State == localdb.Former {
		return err
	}
	reviewed, err := tx.Reviewed(row.Account)
	if err != nil {
		return err
	}
	if n.verifiedAt > reviewed {
		row.VerifiedAt = max(row.VerifiedAt, n.verifiedAt)
	}
	return tx.PutContact(stands(row, n.state, n.at))
}

// stands is a contact as another own device knows it to stand since a time.
func stands(row localdb.Contact, state localdb.ContactState, at uint64) localdb.Contact {
	if at > row.StoodAt || at == row.StoodAt && state > row.State {
		row.State, row.StoodAt = state, at
	}
	return row
}

// learnSent stores what another device has sent, as if this one had.
func learnSent(tx *localdb.Tx, peer person, n newsSent) error {
	message, err := content.Decode(n.frame)
	if err != nil {
		return err
	}
	if err := acquaint(tx, peer.row, clock.Now()); err != nil {
		return err
	}
	text, files := wordsOf(message.Body)
	fresh, err := tx.InsertMessage(localdb.Message{
		ID: message.ID, Account: n.account, Outgoing: true, Shown: true, Body: text,
		SentAt: message.SentAt, ReceivedAt: millis(clock.Now()), Level: levelName(account.PQ3A), WireSize: len(n.frame), State: localdb.Accepted,
	})
	if err != nil || !fresh {
		return err
	}
	return tx.PutFiles(localdb.Sent(message.ID), files)
}

// learnShown marks what was seen elsewhere, and compares what it said there and
// here: a sender who told two devices different things is found out.
func (c *Client) learnShown(tx *localdb.Tx, marks newsShown) (done bool, err error) {
	done = true
	for _, m := range marks {
		row, err := tx.IncomingMessage(m.account, m.id)
		if errors.Is(err, localdb.ErrNotFound) {
			done = false
			continue
		}
		if err != nil {
			return false, err
		}
		if err := tx.MarkShown(m.account, m.id); err != nil {
			return false, err
		}
		if err := c.holdAgainst(tx, row, m); err != nil {
			return false, err
		}
	}
	return done, nil
}

// holdAgainst compares what a message says here and on another own device.
func (c *Client) holdAgainst(tx *localdb.Tx, row localdb.Message, m mark) error {
	files, err := tx.Files(fileOf(row))
	if err != nil {
		return err
	}
	here := hashOf(row.Body, files)
	if bytes.Equal(here[:], m.hash[:]) {
		return nil
	}
	contact, err := tx.Contact(m.account)
	if err != nil {
		return err
	}
	c.refuse(reject.New("V-222", ErrNews, "one id, two texts"))
	return notify(tx, fmt.Sprintf("@%s sent different texts to your devices as one message (%s); ask which one is meant", contact.Name, m.id))
}

// marksOf is the news that messages were shown.
func marksOf(tx *localdb.Tx, rows []localdb.Message) (all []newsShown, err error) {
	var marks []mark
	for _, row := range rows {
		files, err := tx.Files(fileOf(row))
		if err != nil {
			return nil, err
		}
		marks = append(marks, mark{row.Account, row.ID, hashOf(row.Body, files)})
	}
	for part := range slices.Chunk(marks, maxMarks) {
		all = append(all, part)
	}
	return all, nil
}
