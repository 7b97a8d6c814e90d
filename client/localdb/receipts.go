package localdb

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
)

// OwedReceipt is a text whose arrival has not been confirmed to its sender yet.
type OwedReceipt struct {
	Account account.ID
	Device  account.DeviceID // that sent the text
	Content content.ID
}

// PutOwedReceipt records r once.
func (tx *Tx) PutOwedReceipt(r OwedReceipt) error {
	_, err := tx.exec("INSERT INTO receipts (account, device, content) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		r.Account[:], r.Device[:], r.Content[:])
	return err
}

// DevicesOwed lists the devices to which receipts are owed.
func (tx *Tx) DevicesOwed() ([]account.DeviceID, error) {
	return list(tx, func(row scanner) (d account.DeviceID, err error) {
		err = row.Scan(fixed(d[:]))
		return d, err
	}, "SELECT device FROM receipts GROUP BY device ORDER BY min(seq)")
}

// TakeOwedReceipts removes and returns up to limit receipts owed to a device,
// oldest first. It belongs in the transaction that seals the receipt.
func (tx *Tx) TakeOwedReceipts(device account.DeviceID, limit int) ([]OwedReceipt, error) {
	owed, err := list(tx, func(row scanner) (r OwedReceipt, err error) {
		err = row.Scan(fixed(r.Account[:]), fixed(r.Device[:]), fixed(r.Content[:]))
		return r, err
	}, "SELECT account, device, content FROM receipts WHERE device = ? ORDER BY seq LIMIT ?", device[:], limit)
	if err != nil {
		return nil, err
	}
	for _, r := range owed {
		if _, err := tx.exec("DELETE FROM receipts WHERE device = ? AND content = ?", r.Device[:], r.Content[:]); err != nil {
			return nil, err
		}
	}
	return owed, nil
}
