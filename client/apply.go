package client

import (
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/pq3"
)

// apply does what a decrypted message says, inside the transaction that opened
// it. From strangers only texts, files and heads of the log have an effect, and none that they can see.
func (b *book) apply(from localdb.Contact, m *pq3.Message, message content.Message) error {
	if err := b.heardFrom(); err != nil {
		return err
	}
	b.client.duties.add(b.peer.Account, b.peer.Device.ID)
	if b.client.isSelf(from.Account) {
		return b.applyOwn(message)
	}
	switch body := message.Body.(type) {
	case content.Text:
		return b.storeText(m, message, body.Text, nil)
	case content.Files:
		return b.storeText(m, message, body.Text, body.Files)
	case content.Receipt:
		return b.confirm(body)
	case content.Gossip:
		return b.hear(body.Head[:])
	case content.Rekey:
		if from.State == localdb.Friend {
			return b.replyRekey()
		}
	case content.ObjectsWanted:
		if from.State == localdb.Friend {
			return b.answerWanted(body)
		}
	case content.Verification:
		if from.State == localdb.Friend {
			return b.verification(from, message)
		}
	}
	return nil
}

// applyOwn does what another device of this account says. News are kept for
// takeIn, because some of them need the directory.
func (b *book) applyOwn(message content.Message) error {
	switch body := message.Body.(type) {
	case content.Sync:
		if body.What == whatContact {
			b.client.duties.hurry()
		}
		if err := b.tx.PutArrived(localdb.Arrived{ID: message.ID, What: body.What, Item: body.Data, At: millis(b.now)}); err != nil {
			return err
		}
		return b.oweReceipt(message.ID)
	case content.Receipt:
		return b.confirmNews(body)
	case content.Gossip:
		return b.hear(body.Head[:])
	case content.Rekey:
		return b.replyRekey()
	case content.ObjectsWanted:
		return b.answerWanted(body)
	}
	return nil
}

// storeText keeps a text and its files once, and owes a receipt for every copy: the one for
// the first may be what got lost. A stranger's receipts stay owed until the
// user accepts the stranger.
func (b *book) storeText(m *pq3.Message, message content.Message, text string, files []content.File) error {
	fresh, err := b.tx.InsertMessage(localdb.Message{
		ID: message.ID, Account: b.peer.Account, Body: text,
		SentAt: message.SentAt, ReceivedAt: millis(b.now), Level: levelName(m.Suite()), WireSize: len(m.Bytes()),
	})
	if err != nil {
		return err
	}
	if fresh {
		if err := b.tx.PutFiles(localdb.FileOf{Account: b.peer.Account, Message: message.ID}, files); err != nil {
			return err
		}
		b.client.events.arrive()
	}
	return b.oweReceipt(message.ID)
}

func (b *book) oweReceipt(id content.ID) error {
	return b.tx.PutOwedReceipt(localdb.OwedReceipt{Account: b.peer.Account, Device: b.peer.Device.ID, Content: id})
}

// confirm ends the duty to repair for the texts that a device says it has.
func (b *book) confirm(receipt content.Receipt) error {
	var through newsDelivered
	for _, id := range receipt.Delivered {
		n, err := b.tx.AcknowledgeOutgoing(b.peer.Device.ID, id)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := b.tx.MarkConfirmed(b.peer.Account, id); err != nil {
			return err
		}
		if err := through.advance(b.tx, b.peer.Account, id); err != nil {
			return err
		}
	}
	return b.client.tellDelivered(b.tx, through)
}

// advance is the function of this name, noting a text that everybody has by it.
func (n *newsDelivered) advance(tx *localdb.Tx, to account.ID, id content.ID) error {
	if err := advance(tx, to, id); err != nil {
		return err
	}
	if text, err := tx.OutgoingMessage(id); err == nil && text.State == localdb.Delivered {
		*n = append(*n, mark{account: to, id: id})
	}
	return nil
}

// tellDelivered owes the own devices what has come through, if anything has.
func (c *Client) tellDelivered(tx *localdb.Tx, through newsDelivered) error {
	for ; len(through) > 0; through = through[min(maxMarks, len(through)):] {
		if err := c.tell(tx, through[:min(maxMarks, len(through))]); err != nil {
			return err
		}
	}
	return nil
}

// confirmNews ends the duty to repair for the news that an own device has.
func (b *book) confirmNews(receipt content.Receipt) error {
	for _, id := range receipt.Delivered {
		n, err := b.tx.AcknowledgeOutgoing(b.peer.Device.ID, id)
		if err == nil && n > 0 {
			err = b.tx.DeleteOwed(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heardFrom notes a sign of life: the last heartbeat, if any, is answered.
func (b *book) heardFrom() error {
	limits, err := b.tx.Repair(b.peer.Device.ID)
	if err != nil || limits.HeartbeatAt == 0 {
		return err
	}
	limits.HeartbeatAt = 0
	return b.tx.PutRepair(limits)
}

// owedReceipt takes up to one receipt's worth of confirmations.
func (b *book) owedReceipt() (content.Receipt, error) {
	owed, err := b.tx.TakeOwedReceipts(b.peer.Device.ID, content.MaxReceipts)
	var receipt content.Receipt
	for _, o := range owed {
		if !slices.Contains(receipt.Delivered, o.Content) {
			receipt.Delivered = append(receipt.Delivered, o.Content)
		}
	}
	return receipt, err
}

// levelName is a suite in the words of the level table.
func levelName(suite account.Suite) string {
	if suite == account.PQ3A {
		return "3A"
	}
	return "3"
}
