package localdb

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestTransactionCutShort: whoever cancels is told so, in whatever statement
// the end of the context finds the transaction, and nothing of it is kept.
func TestTransactionCutShort(t *testing.T) {
	_, db := made(t)
	for _, transaction := range []func(context.Context, func(*Tx) error) error{db.Update, db.View} {
		ctx, cancel := context.WithCancel(t.Context())
		if err := transaction(ctx, func(tx *Tx) error {
			cancel()
			var err error
			for err == nil {
				_, err = tx.Contacts()
			}
			return err
		}); !errors.Is(err, context.Canceled) {
			t.Errorf("cut short: %v", err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for err := error(nil); err == nil; {
		if err = db.Update(short, func(tx *Tx) error { return tx.PutNotice(Notice{Text: "x"}) }); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("out of time: %v", err)
		}
	}
}
