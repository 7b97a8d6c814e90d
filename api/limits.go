package api

import "time"

// Limits of the interface. Both sides know them, so a client never builds a
// request that must be refused.
const (
	// MaxEnvelope is the greatest payload of an envelope, in bytes: twice the
	// greatest message, so that the format can grow without the server.
	MaxEnvelope = 256 << 10

	// MaxEnvelopes is how many envelopes one Send may carry: a fan-out to every
	// device of a large conversation, in one fsync.
	MaxEnvelopes = 64
	// SendWindow is how many requests of a send stream the server reads before
	// it has answered the first of them: as many as one Send has envelopes. One
	// with more than 16 KiB of payloads counts for several.
	SendWindow = 64

	// MaxRequest is the greatest request body, in bytes. It bounds what one
	// unauthenticated connection can make the server hold.
	MaxRequest = 4 << 20

	// AttachmentPart is how many bytes every part of an upload but the last has,
	// and the most that one fetch returns: 16 sealed chunks, so that parts and
	// chunks end together.
	AttachmentPart = 16 * (64<<10 + 16)

	// MaxHeader is the greatest request header, in bytes.
	MaxHeader = 16 << 10

	// ChallengeSize is the length of a login challenge, in bytes.
	ChallengeSize = 32

	// SeatSize is how many bytes a device draws for each login, which tell it from
	// a copy of itself.
	SeatSize = 16

	// ChallengeLife is how long a challenge may be answered: a signature by a
	// hardware key behind a PIN takes a while.
	ChallengeLife = 2 * time.Minute

	// TokenLife is how long a token works. It is short because a stolen token
	// cannot be told from the device.
	TokenLife = 15 * time.Minute

	// KeepAlive is the longest silence on a delivery stream.
	KeepAlive = 30 * time.Second

	// Retention is how long an undelivered envelope is kept, and how long a
	// device may stay away before senders are told that it is gone.
	Retention = 30 * 24 * time.Hour

	// MaxAttachment is the greatest file that a server may be told to take, in
	// bytes before sealing, so that no client reads a larger one in vain.
	MaxAttachment = 1 << 30

	// AttachmentRetention is how long a sealed file is kept, fetched or not.
	AttachmentRetention = 30 * 24 * time.Hour

	// UploadLife is how long an unfinished upload is kept after its last part.
	UploadLife = 7 * 24 * time.Hour

	// PairingLife is how long a slot for a pairing is there.
	PairingLife = 10 * time.Minute

	// PairingMessages is how many messages a pairing has.
	PairingMessages = 4

	// MaxPairingMessage is the greatest of them, and MaxPairing all of one
	// pairing together, in bytes.
	MaxPairingMessage = 16 << 10
	MaxPairing        = 32 << 10
)
