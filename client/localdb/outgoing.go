package localdb

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
)

// OutgoingKind says what an envelope carries, for repair and for counting.
type OutgoingKind uint8

// The kinds of envelope.
const (
	OutgoingText OutgoingKind = iota + 1
	OutgoingReceipt
	OutgoingRekey
	OutgoingRekeyReply
	OutgoingObjectsWanted
	OutgoingObjects
	OutgoingControl
	OutgoingVerification
	OutgoingGossip
	OutgoingSync
)

// Outgoing is an envelope for one device. It is written in the transaction
// that advances the session and sent, as often as needed, with these bytes.
type Outgoing struct {
	Seq      int64 // order of sending; set by the database
	Envelope [16]byte
	Device   account.DeviceID
	Account  account.ID
	Payload  []byte   // the message; dropped once the server has accepted it
	Hash     [48]byte // SHA-384 of the message, kept for repair
	Content  content.ID
	Kind     OutgoingKind
	Created  uint64 // ms
	Accepted bool
}

// PutOutgoing appends o to the outbox and returns its Seq.
func (tx *Tx) PutOutgoing(o Outgoing) (int64, error) {
	var seq int64
	err := tx.row("INSERT INTO outgoing (envelope, device, account, payload, hash, content, kind, created, accepted)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
		o.Envelope[:], o.Device[:], o.Account[:], blob(o.Payload), o.Hash[:], o.Content[:], o.Kind, o.Created, o.Accepted).Scan(&seq)
	return seq, err
}

// PendingOutgoing lists up to limit envelopes that the server has not accepted,
// in order.
func (tx *Tx) PendingOutgoing(limit int) ([]Outgoing, error) {
	return list(tx, scanOutgoing, selectOutgoing+" WHERE accepted = 0 ORDER BY seq LIMIT ?", limit)
}

// PendingTexts lists the contents of texts for an account of which the server
// has not accepted every envelope, in order.
func (tx *Tx) PendingTexts(owner account.ID) ([]content.ID, error) {
	return list(tx, func(row scanner) (id content.ID, err error) {
		return id, row.Scan(fixed(id[:]))
	}, "SELECT content FROM outgoing WHERE account = ? AND kind = ? AND accepted = 0 GROUP BY content ORDER BY min(seq)", owner[:], OutgoingText)
}

// AcceptOutgoing notes that the server holds the envelope, and drops its
// payload. Hash and content id stay until the recipient's receipt.
func (tx *Tx) AcceptOutgoing(seq int64) error {
	_, err := tx.exec("UPDATE outgoing SET accepted = 1, payload = x'' WHERE seq = ?", seq)
	return err
}

// OutgoingByHash returns the unacknowledged envelope to device whose message
// has that SHA-384, or ErrNotFound.
func (tx *Tx) OutgoingByHash(device account.DeviceID, hash [48]byte) (Outgoing, error) {
	return one(tx.row(selectOutgoing+" WHERE device = ? AND hash = ? ORDER BY seq LIMIT 1", device[:], hash[:]), scanOutgoing)
}

// UnacknowledgedOutgoing lists the envelopes to a device for which no receipt
// has come, accepted or not, in order.
func (tx *Tx) UnacknowledgedOutgoing(device account.DeviceID) ([]Outgoing, error) {
	return list(tx, scanOutgoing, selectOutgoing+" WHERE device = ? ORDER BY seq", device[:])
}

// DeleteOutgoing removes one envelope.
func (tx *Tx) DeleteOutgoing(seq int64) error {
	_, err := tx.exec("DELETE FROM outgoing WHERE seq = ?", seq)
	return err
}

// AcknowledgeOutgoing removes the envelopes to a device that carried the
// content, because its receipt has come. It returns how many went.
func (tx *Tx) AcknowledgeOutgoing(device account.DeviceID, id content.ID) (int, error) {
	return tx.exec("DELETE FROM outgoing WHERE device = ? AND content = ?", device[:], id[:])
}

// DeleteOutgoingBefore removes the accepted envelopes created before cutoff,
// whose receipts are no longer expected, and returns how many went.
func (tx *Tx) DeleteOutgoingBefore(cutoff uint64) (int, error) {
	return tx.exec("DELETE FROM outgoing WHERE accepted = 1 AND created < ?", cutoff)
}

// CountPending counts the envelopes that the server has not accepted and the
// texts that wait for their recipient to be looked up. Heads of the log, which go
// out beside some texts by chance, are not counted.
func (tx *Tx) CountPending() (int, error) {
	return tx.count("SELECT (SELECT count(*) FROM outgoing WHERE accepted = 0 AND kind <> ?) + (SELECT count(*) FROM queued)", OutgoingGossip)
}

// QueuedText is a text for a name that has never been looked up, so that there
// is nobody to encrypt it for yet.
type QueuedText struct {
	Content content.ID
	Name    account.Name
	Text    string // sealed
	Created uint64 // ms
}

// PutQueuedText stores q, replacing the row with the same content id.
func (tx *Tx) PutQueuedText(q QueuedText) error {
	_, err := tx.exec("INSERT INTO queued VALUES (?, ?, ?, ?) ON CONFLICT (content) DO UPDATE SET"+
		" name = excluded.name, text = excluded.text, created = excluded.created",
		q.Content[:], string(q.Name), tx.rows.seal("queued.text", q.Content[:], []byte(q.Text)), q.Created)
	return err
}

// QueuedTexts lists the queued texts, oldest first.
func (tx *Tx) QueuedTexts() ([]QueuedText, error) {
	return list(tx, tx.scanQueued, "SELECT content, name, text, created FROM queued ORDER BY rowid")
}

// DeleteQueuedText removes a queued text.
func (tx *Tx) DeleteQueuedText(id content.ID) error {
	_, err := tx.exec("DELETE FROM queued WHERE content = ?", id[:])
	return err
}

// OutgoingOf lists the envelopes that carry a content, to whatever device, for
// which no receipt has come.
func (tx *Tx) OutgoingOf(id content.ID) ([]Outgoing, error) {
	return list(tx, scanOutgoing, selectOutgoing+" WHERE content = ? ORDER BY seq", id[:])
}

const selectOutgoing = "SELECT seq, envelope, device, account, payload, hash, content, kind, created, accepted FROM outgoing"

func scanOutgoing(row scanner) (o Outgoing, err error) {
	err = row.Scan(&o.Seq, fixed(o.Envelope[:]), fixed(o.Device[:]), fixed(o.Account[:]), &o.Payload, fixed(o.Hash[:]),
		fixed(o.Content[:]), &o.Kind, &o.Created, &o.Accepted)
	return o, err
}

func (tx *Tx) scanQueued(row scanner) (q QueuedText, err error) {
	var sealed []byte
	if err := row.Scan(fixed(q.Content[:]), &q.Name, &sealed, &q.Created); err != nil {
		return QueuedText{}, err
	}
	text, err := tx.rows.open("queued.text", q.Content[:], sealed)
	q.Text = string(text)
	return q, err
}
