package client

import (
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// History goes from an old device to a new one in segments. Each is a sealed
// attachment under a key, and at a place, that follow from the key of the
// history and the segment's number, so the new device finds and opens them
// with what the pairing gave it, and no two segments share a key.

// HistoryProgress is how far the history of a new device has come: contacts
// and messages. Total is 0 while it is not known.
type HistoryProgress struct {
	Done, Total uint64
	Finished    bool
}

const (
	// segmentSize is how many bytes of items fill a segment. One item may go
	// beyond it: a roster may be larger than that.
	segmentSize = 900 << 10
	// maxSegment is the greatest segment that is read.
	maxSegment = 8 << 20

	segmentVersion = 1
)

// The kinds of items.
const (
	itemContact = iota + 1
	itemMessage
)

// segment is one part of a history.
type segment struct {
	index       uint32
	final       bool
	done, total uint64 // items up to and with this segment, and all of them
	contacts    []oldContact
	messages    []oldMessage
}

// oldContact is a contact with the newest bundles seen of its devices.
type oldContact struct {
	localdb.Contact
	shared  uint32 // if its roster has forked: how many statements both chains have
	devices []localdb.PeerDevice
}

// oldMessage is a message with its files.
type oldMessage struct {
	localdb.Message
	files []content.File
}

func (s segment) marshal() []byte {
	b := binary.BigEndian.AppendUint32([]byte{segmentVersion}, s.index)
	b = append(b, flag(s.final))
	b = binary.BigEndian.AppendUint64(b, s.done)
	b = binary.BigEndian.AppendUint64(b, s.total)
	for _, c := range s.contacts {
		b = codec.AppendV32(append(b, itemContact), c.marshal())
	}
	for _, m := range s.messages {
		b = codec.AppendV32(append(b, itemMessage), m.marshal())
	}
	return b
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// parseSegment reads a segment strictly. ErrHistory.
func parseSegment(b []byte) (s segment, err error) {
	r := codec.NewReader(b)
	version := r.U8()
	s.index = r.U32()
	final := r.U8()
	s.final, s.done, s.total = final == 1, r.U64(), r.U64()
	if version != segmentVersion || final > 1 {
		return segment{}, badSegment("version")
	}
	for r.Len() > 0 && !r.Failed() {
		switch kind := r.U8(); {
		case kind == itemContact && s.messages == nil:
			c, err := parseOldContact(r.V32(maxSegment))
			if err != nil {
				return segment{}, err
			}
			s.contacts = append(s.contacts, c)
		case kind == itemMessage:
			m, err := parseOldMessage(r.V32(maxSegment))
			if err != nil {
				return segment{}, err
			}
			s.messages = append(s.messages, m)
		default:
			return segment{}, badSegment("an item of an unknown kind, or out of order")
		}
	}
	if !r.Done() {
		return segment{}, badSegment("cut off")
	}
	return s, nil
}

func badSegment(what string) error { return reject.New("V-239", ErrHistory, what) }

func (c oldContact) marshal() []byte {
	b := append([]byte(nil), c.Account[:]...)
	b = codec.AppendV16(b, []byte(c.Name))
	b = append(b, byte(c.State), byte(c.PinnedSuite))
	b = binary.BigEndian.AppendUint64(b, c.FirstSeen)
	b = binary.BigEndian.AppendUint64(b, c.VerifiedAt)
	b = append(b, c.ChangedTo[:]...)
	b = binary.BigEndian.AppendUint64(b, c.StoodAt)
	b = binary.BigEndian.AppendUint32(b, c.shared)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.Statements)))
	for _, s := range c.Statements {
		b = codec.AppendV32(b, s)
	}
	for _, d := range c.devices {
		b = append(b, d.Device[:]...)
		b = binary.BigEndian.AppendUint64(b, d.NewestBundle)
		b = append(b, d.BundleHash[:]...)
	}
	return b
}

func parseOldContact(b []byte) (c oldContact, err error) {
	r := codec.NewReader(b)
	r.Copy(c.Account[:])
	c.Name, err = account.ParseName(string(r.V16(account.MaxNameLen)))
	c.State, c.PinnedSuite = localdb.ContactState(r.U8()), account.Suite(r.U8())
	c.FirstSeen, c.VerifiedAt = r.U64(), r.U64()
	r.Copy(c.ChangedTo[:])
	c.StoodAt, c.shared = r.U64(), r.U32()
	for n := r.U16(); n > 0 && !r.Failed(); n-- {
		c.Statements = append(c.Statements, r.V32(account.MaxStatement))
	}
	for r.Len() > 0 && !r.Failed() {
		d := localdb.PeerDevice{Account: c.Account}
		r.Copy(d.Device[:])
		d.NewestBundle = r.U64()
		r.Copy(d.BundleHash[:])
		c.devices = append(c.devices, d)
	}
	split := c.shared == 0 || forked(c.Contact) && int64(c.shared) <= int64(len(c.Statements))
	if err != nil || !r.Done() || c.State < localdb.Stranger || c.State > localdb.Former || c.StoodAt >= 1<<63-1 || !split {
		return c, badSegment("a contact")
	}
	return c, nil
}

func (m oldMessage) marshal() []byte {
	b := append([]byte(nil), m.ID[:]...)
	b = append(b, m.Account[:]...)
	b = append(b, flag(m.Outgoing), flag(m.Shown), byte(m.State))
	for _, v := range []uint64{m.SentAt, m.ReceivedAt, uint64(m.WireSize)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = codec.AppendV16(b, []byte(m.Level))
	b = codec.AppendV32(b, []byte(m.Body))
	for _, f := range m.files {
		b = append(append(append(b, f.ID[:]...), f.Key[:]...), f.Digest[:]...)
		b = binary.BigEndian.AppendUint64(b, f.Size)
		b = codec.AppendV16(codec.AppendV16(b, []byte(f.Name)), []byte(f.Type))
	}
	return b
}

func parseOldMessage(b []byte) (m oldMessage, err error) {
	r := codec.NewReader(b)
	r.Copy(m.ID[:])
	r.Copy(m.Account[:])
	outgoing, shown := r.U8(), r.U8()
	m.Outgoing, m.Shown, m.State = outgoing == 1, shown == 1, localdb.MessageState(r.U8())
	m.SentAt, m.ReceivedAt = r.U64(), r.U64()
	size := r.U64()
	m.WireSize = int(size)
	m.Level = string(r.V16(8))
	m.Body = string(r.V32(content.MaxText))
	for r.Len() > 0 && !r.Failed() {
		f := content.File{}
		r.Copy(f.ID[:])
		r.Copy(f.Key[:])
		r.Copy(f.Digest[:])
		f.Size = r.U64()
		f.Name, f.Type = string(r.V16(255)), string(r.V16(255))
		m.files = append(m.files, f)
	}
	if !r.Done() || outgoing > 1 || shown > 1 || m.State > localdb.Delivered || size > 1<<31 {
		return m, badSegment("a message")
	}
	return m, nil
}

// segmentPlace is where a segment is and what opens it.
type segmentPlace struct {
	nonce [16]byte // of its upload
	key   secret.Key
}

// placeOf derives the place of a segment. SPEC §13.6.
func placeOf(history *secret.Key, index uint32) (p segmentPlace, err error) {
	secret.Do(func() {
		var b []byte
		info := string(binary.BigEndian.AppendUint32([]byte("posthorn/history/v1"), index))
		if b, err = hkdf.Expand(sha512.New384, history[:], info, len(p.nonce)+len(p.key)); err != nil {
			return
		}
		defer secret.Wipe(b)
		copy(p.nonce[:], b)
		copy(p.key[:], b[len(p.nonce):])
	})
	return p, err
}

// gather fills the next segment of an export, and moves its cursors.
func gather(tx *localdb.Tx, e *localdb.Export) (segment, error) {
	s := segment{index: e.Next, total: e.Total}
	for size := 0; size < segmentSize; {
		c, at, err := tx.ContactAfter(e.Contact)
		if errors.Is(err, localdb.ErrNotFound) {
			break
		}
		if err != nil {
			return s, err
		}
		devices, err := tx.PeerDevices(c.Account)
		if err != nil {
			return s, err
		}
		shared, err := tx.Fork(c.Account)
		if err != nil {
			return s, err
		}
		old := oldContact{c, uint32(shared), devices}
		s.contacts, e.Contact, size = append(s.contacts, old), at, size+len(old.marshal())
		if size >= segmentSize {
			return closed(s, e, false), nil
		}
	}
	more, err := gatherMessages(tx, e, &s)
	return closed(s, e, !more), err
}

// gatherMessages adds messages until the segment is full, and says whether
// there may be more.
func gatherMessages(tx *localdb.Tx, e *localdb.Export, s *segment) (more bool, err error) {
	for size := 0; size < segmentSize; {
		page, err := tx.MessagesAfter(e.Message, e.Last, 64)
		if err != nil || len(page) == 0 {
			return false, err
		}
		for _, m := range page {
			of := localdb.FileOf{Account: m.Account, Message: m.ID}
			if m.Outgoing {
				of = localdb.Sent(m.ID)
			}
			files, err := tx.Files(of)
			if err != nil {
				return false, err
			}
			old := oldMessage{m, files}
			s.messages, e.Message, size = append(s.messages, old), m.Seq, size+len(old.marshal())
			if size >= segmentSize {
				return true, nil
			}
		}
	}
	return true, nil
}

func closed(s segment, e *localdb.Export, final bool) segment {
	e.Done += uint64(len(s.contacts) + len(s.messages))
	s.done, s.final, e.Total = e.Done, final, max(e.Total, e.Done)
	s.total = e.Total
	return s
}

// admit stores what a segment brings. What this device has learned by itself
// meanwhile stays, unless the old device knows more.
func (s segment) admit(tx *localdb.Tx) error {
	for _, c := range s.contacts {
		if err := c.admit(tx); err != nil {
			return err
		}
	}
	for _, m := range s.messages {
		of := localdb.FileOf{Account: m.Account, Message: m.ID}
		if m.Outgoing {
			of = localdb.Sent(m.ID)
		}
		fresh, err := tx.InsertMessage(m.Message)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		if err := tx.PutFiles(of, m.files); err != nil {
			return err
		}
	}
	return nil
}

func (c oldContact) admit(tx *localdb.Tx) error {
	roster, err := account.ReplayRoster(c.Statements)
	if err != nil || roster.ID() != c.Account || forked(c.Contact) && c.shared == 0 {
		return badSegment("a contact whose roster does not verify")
	}
	here, err := tx.Contact(c.Account)
	known, err := found(err)
	if err != nil {
		return err
	}
	if known {
		split, err := tx.Fork(c.Account)
		if err != nil {
			return err
		}
		c.Contact, c.shared = c.beside(here, uint32(split))
	}
	if err := c.claimName(tx); err != nil {
		return err
	}
	if err := errors.Join(tx.PutContact(c.Contact), tx.PutFork(c.Account, int(c.shared))); err != nil {
		return fmt.Errorf("a contact of the history: %w", err)
	}
	return c.admitDevices(tx)
}

// beside is the contact as both devices together know it, with what its chains
// share if its roster has forked: the later decision, and every doubt.
func (c oldContact) beside(here localdb.Contact, split uint32) (localdb.Contact, uint32) {
	if c.State == localdb.Former {
		here.State = localdb.Former
	} else {
		here = stands(here, c.State, c.StoodAt)
	}
	here.PinnedSuite = max(here.PinnedSuite, c.PinnedSuite)
	here.FirstSeen, here.VerifiedAt = min(here.FirstSeen, c.FirstSeen), max(here.VerifiedAt, c.VerifiedAt)
	if here.ChangedTo == (account.ID{}) {
		here.ChangedTo = c.ChangedTo
	}
	if !forked(here) || split > 0 {
		return here, split
	}
	return here, uint32(min(int(c.shared), common(here.Statements, c.Statements)))
}

// claimName settles which account has the contact's name if this device, before
// the history came, has met another under it: the earlier one, and the name
// counts as changed until the user has reviewed it. One that was verified here
// keeps the name.
func (c *oldContact) claimName(tx *localdb.Tx) error {
	holder, err := tx.ContactByName(c.Name)
	held, err := found(err)
	if err != nil || !held || holder.Account == c.Account || c.State == localdb.Former {
		return err
	}
	if holder.VerifiedAt != 0 {
		c.State, c.VerifiedAt = localdb.Former, 0
		return nil
	}
	c.ChangedTo, c.shared = holder.Account, 0
	holder.State, holder.ChangedTo = localdb.Former, account.ID{}
	return errors.Join(tx.PutContact(holder), notifyChanged(tx, c.Name))
}

func (c oldContact) admitDevices(tx *localdb.Tx) error {
	for _, d := range c.devices {
		present, err := tx.PeerDevice(d.Device)
		if known, err := found(err); err != nil {
			return err
		} else if known && present.NewestBundle >= d.NewestBundle {
			continue
		}
		if err := tx.PutPeerDevice(d); err != nil {
			return err
		}
	}
	return nil
}
