package transport

import (
	"context"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// PostPairing leaves a message at a slot; it may be repeated. Errors:
// ErrNobodyWaits, ErrSlotTaken, ErrLimited.
func (c *Client) PostPairing(ctx context.Context, slot [16]byte, index uint32, message []byte) error {
	_, err := call(ctx, c.pairing.PostPairing, &posthornv1.PostPairingRequest{Slot: slot[:], Index: index, Message: message})
	return err
}

// FetchPairing returns a message of a slot, or nothing while it is not there.
// Error: ErrNobodyWaits.
func (c *Client) FetchPairing(ctx context.Context, slot [16]byte, index uint32) ([]byte, error) {
	answer, err := call(ctx, c.pairing.FetchPairing, &posthornv1.FetchPairingRequest{Slot: slot[:], Index: index})
	return answer.GetMessage(), err
}
