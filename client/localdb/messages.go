package localdb

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
)

// MessageState is how far an outgoing message is known to have come.
type MessageState uint8

// The states of an outgoing message. A state only ever gives way to a higher
// one, so that news arriving out of order cannot take back better news.
const (
	Queued    MessageState = iota + 1 // on this device alone
	Accepted                          // the server has stored it
	Failed                            // given up; a late receipt still counts
	Delivered                         // the recipient's device has said so
)

// Message is a text of a conversation, to or from Account.
type Message struct {
	Seq        int64 // order of arrival here; set by the database
	ID         content.ID
	Account    account.ID // the other side
	Outgoing   bool
	Body       string
	SentAt     uint64 // ms, by the sender's clock
	ReceivedAt uint64 // ms, by ours; for outgoing ones the time of writing
	Shown      bool
	Level      string // "3A" or "3"; empty while not yet encrypted
	WireSize   int    // bytes of the envelope's payload
	State      MessageState
}

// MessageFilter selects messages. Its zero value selects all.
type MessageFilter struct {
	Account *account.ID // only this conversation
	Unshown bool        // only incoming messages not shown yet
}

// latestTime is the last millisecond of the year 9999, the end of what RFC 3339
// can write. SentAt is the peer's word: an absurd one is cut to this, so that
// its message can be stored and shown instead of blocking those behind it.
const latestTime = 253_402_300_799_999

// InsertMessage stores m unless there is one with the same account, direction
// and id, and reports whether it did. The direction is part of the key so that
// a peer cannot suppress a message by sending one of our own ids back first.
func (tx *Tx) InsertMessage(m Message) (bool, error) {
	n, err := tx.exec("INSERT INTO messages (id, account, outgoing, body, sent, received, shown, level, size, state)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		m.ID[:], m.Account[:], m.Outgoing, m.Body, min(m.SentAt, latestTime), m.ReceivedAt, m.Shown, m.Level, m.WireSize, m.State)
	return n == 1, err
}

// Messages lists the selected messages in order of arrival.
func (tx *Tx) Messages(f MessageFilter) ([]Message, error) {
	query, args := selectMessages+" WHERE 1", []any{}
	if f.Account != nil {
		query, args = query+" AND account = ?", append(args, f.Account[:])
	}
	if f.Unshown {
		query += " AND shown = 0 AND outgoing = 0"
	}
	return list(tx, scanMessage, query+" ORDER BY seq", args...)
}

// OutgoingMessage returns the message that this device sent under id, or
// ErrNotFound.
func (tx *Tx) OutgoingMessage(id content.ID) (Message, error) {
	return one(tx.row(selectMessages+" WHERE id = ? AND outgoing = 1", id[:]), scanMessage)
}

// SentSince lists the newest messages that this account has written since a time
// by this device's clock, oldest first, at most max.
func (tx *Tx) SentSince(ms uint64, max int) ([]Message, error) {
	return list(tx, scanMessage, "SELECT * FROM ("+selectMessages+" WHERE outgoing = 1 AND received >= ? ORDER BY seq DESC LIMIT ?) ORDER BY seq", ms, max)
}

// MarkShown notes that the incoming message has been shown to the user.
func (tx *Tx) MarkShown(from account.ID, id content.ID) error {
	_, err := tx.exec("UPDATE messages SET shown = 1 WHERE account = ? AND outgoing = 0 AND id = ?", from[:], id[:])
	return err
}

// SetMessageState raises the state of an outgoing message, and changes nothing
// if it already has a higher one.
func (tx *Tx) SetMessageState(to account.ID, id content.ID, state MessageState) error {
	_, err := tx.exec("UPDATE messages SET state = ?3 WHERE account = ?1 AND outgoing = 1 AND id = ?2 AND state < ?3", to[:], id[:], state)
	return err
}

// MarkConfirmed notes that a device of the recipient has an outgoing message.
func (tx *Tx) MarkConfirmed(to account.ID, id content.ID) error {
	_, err := tx.exec("UPDATE messages SET confirmed = 1 WHERE account = ? AND outgoing = 1 AND id = ?", to[:], id[:])
	return err
}

// Confirmed reports whether any device of the recipient has the message.
func (tx *Tx) Confirmed(to account.ID, id content.ID) (bool, error) {
	n, err := tx.count("SELECT count(*) FROM messages WHERE account = ? AND outgoing = 1 AND id = ? AND confirmed = 1", to[:], id[:])
	return n > 0, err
}

// SetMessageWire notes the level and the wire size of an outgoing message once
// it has been encrypted.
func (tx *Tx) SetMessageWire(to account.ID, id content.ID, level string, size int) error {
	_, err := tx.exec("UPDATE messages SET level = ?, size = ? WHERE account = ? AND outgoing = 1 AND id = ?", level, size, to[:], id[:])
	return err
}

// CountUnshown counts the incoming messages not shown yet.
func (tx *Tx) CountUnshown() (int, error) {
	return tx.count("SELECT count(*) FROM messages WHERE shown = 0 AND outgoing = 0")
}

const selectMessages = "SELECT seq, id, account, outgoing, body, sent, received, shown, level, size, state FROM messages"

func scanMessage(row scanner) (m Message, err error) {
	err = row.Scan(&m.Seq, fixed(m.ID[:]), fixed(m.Account[:]), &m.Outgoing, &m.Body, &m.SentAt, &m.ReceivedAt,
		&m.Shown, &m.Level, &m.WireSize, &m.State)
	return m, err
}
