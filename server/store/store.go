// Package store is the contract between the server and whatever keeps its
// mailboxes and its directory. Each backend passes the suite in storetest, so
// the server can rely on the words below and on nothing else.
//
// A mailbox is one queue of envelopes for one device. What every backend
// promises:
//
//  1. Order. Sequence numbers are per mailbox, start at 1, have no gaps and
//     follow commit order. A reader that has seen n never meets a smaller
//     number later, and n never names another envelope, even after a crash.
//  2. Durability. Append, Create, Drop, CAS, Put, Take and ClearExpired return
//     nil only when their effect survives a power cut. Any error from them,
//     one in an Appended excepted, means that the outcome is unknown: the
//     caller asks again with the same ids.
//  3. Repeats. An envelope with the ID and Sender of one that the same mailbox
//     took in the last RepeatWindow is not stored again; it gets the number it
//     had, and Repeat is set. This is best effort: it is forgotten at a restart and under load, so
//     a receiving device must drop repeats by ID itself.
//  4. Acks. An ack is one number and covers everything up to it. It is seen by
//     reads and quotas at once. A crash may undo it; then the device is given
//     the same envelopes again, never fewer.
//  5. Atomicity. The envelopes of one Append to one mailbox are stored together
//     or not at all. Envelopes to different mailboxes stand alone.
//  6. Reads. Read returns every envelope whose Append has returned, and never
//     one that a power cut could still take away. Damage on disk is an error,
//     never a shorter queue.
//  7. Directory. CAS and Get are linearizable for each key. Take hands out each
//     value at most once, even across a crash. Scan returns every key whose CAS
//     has returned before it began; of one that is changed meanwhile it returns
//     some state that the key had during the call. Note is CAS that does not wait
//     for copies on other machines: its effect is seen at once and survives a
//     power cut, but may be lost when another machine takes the store over,
//     together with everything that was written after it.
//
// A store reads no clock: every time comes from the caller. A backend whose
// disk has failed refuses all writes with ErrStopped until it is opened anew,
// while reads go on. All methods may be called from many goroutines; after
// Close they return ErrClosed. Slices given to a method may be reused when it
// returns; slices that a method returns belong to the caller.
package store

import (
	"context"
	"errors"
	"time"
)

// Defaults that no caller has to know better.
const (
	// DefaultEnvelopes is how many envelopes a mailbox holds.
	DefaultEnvelopes = 10_000
	// DefaultBytes is how many bytes of Data a mailbox holds: 64 MiB.
	DefaultBytes = 64 << 20
	// SenderShare is the part of a mailbox that one sender may fill: 1/4. The
	// rest stays open to everybody else.
	SenderShare = 4
	// RepeatWindow is how long a mailbox remembers an envelope id, measured by
	// the At of the envelopes themselves.
	RepeatWindow = 10 * time.Minute
)

// Errors of the contract. Backends wrap them; test with errors.Is.
var (
	// ErrFull: the mailbox, or the sender's share of it, has no room. Nothing
	// was stored for that mailbox by that call.
	ErrFull = errors.New("store: mailbox full")
	// ErrGone: the mailbox was dropped and will not come back.
	ErrGone = errors.New("store: mailbox dropped")
	// ErrNoBox: no mailbox was ever created under that id.
	ErrNoBox = errors.New("store: no such mailbox")
	// ErrNotFound: the key has never been set.
	ErrNotFound = errors.New("store: no such key")
	// ErrVersion: the key is not at the version that CAS expected; nothing
	// was written.
	ErrVersion = errors.New("store: version changed")
	// ErrEmpty: the pool has no value left to take.
	ErrEmpty = errors.New("store: pool is empty")
	// ErrStopped: the disk failed or is full. Nothing more is written until
	// the store is opened again; reads still work.
	ErrStopped = errors.New("store: stopped after a disk failure, writes are refused")
	// ErrPassing goes with ErrStopped in what Err returns when the store will take
	// writes again by itself: its database is away, or it is being moved.
	ErrPassing = errors.New("store: it goes on by itself")
	// ErrCorrupt: what is on disk is not what was written.
	ErrCorrupt = errors.New("store: damaged on disk")
	// ErrFormat: a newer program wrote this store; nothing was changed.
	ErrFormat = errors.New("store: format is newer than this program")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
)

// Box names one mailbox: 16 random bytes that say nothing about the device.
type Box [16]byte

// EnvelopeID is what a sender chose to tell its envelopes apart: 16 random
// bytes, the same at every retry.
type EnvelopeID [16]byte

// Sender is who an envelope counts against in a mailbox. It is opaque here.
type Sender [16]byte

// Envelope is one sealed message on its way into a mailbox.
type Envelope struct {
	Box    Box
	ID     EnvelopeID
	Sender Sender
	Data   []byte    // opaque; its length is what quotas count
	At     time.Time // when the server accepted it, kept to the millisecond
}

// Appended says what became of one Envelope.
type Appended struct {
	Seq    uint64 // its number in the mailbox, when Err is nil
	Repeat bool   // it was not stored: the number is that of the envelope it repeats
	Node   string // where the mailbox is attached, or ""
	Err    error  // nil, ErrFull, ErrGone or ErrNoBox
}

// Pending is an Append under way.
type Pending interface {
	// Wait returns what Append would have. When ctx ends before, the outcome is
	// unknown.
	Wait(ctx context.Context) ([]Appended, error)
	// Ready reports whether Wait would return at once.
	Ready() bool
}

// Msg is one stored envelope.
type Msg struct {
	Seq    uint64
	ID     EnvelopeID
	Sender Sender
	At     time.Time
	Data   []byte
}

// BoxSeq is an ack: the owner of Box is done with everything up to Seq.
type BoxSeq struct {
	Box Box
	Seq uint64
}

// Entry is one directory value with the key that it is under.
type Entry struct {
	Key string
	Val []byte
	Ver uint64 // from 1
}

// Stats says how much a store holds.
type Stats struct {
	Mailboxes uint64    // open ones
	Queued    uint64    // stored envelopes that are not acked
	Oldest    time.Time // when the oldest of them was accepted; zero: none
}

// Limits bound one mailbox. A zero field stands for its default.
type Limits struct {
	Envelopes uint32 // how many it holds
	Bytes     uint64 // how many bytes of Data it holds
}

// Store keeps mailboxes and the directory. See the package text for what its
// methods promise together.
type Store interface {
	// Append stores envelopes and returns one Appended for each, in order. It
	// returns when they are durable. The error is for the call as a whole.
	Append(ctx context.Context, envs []Envelope) ([]Appended, error)

	// Submit is the first half of Append: it returns when the envelopes have
	// their place in the line, and the second half says what became of them.
	// What one goroutine submits to one mailbox is numbered in that order.
	// Wait of what Submit returns has to be called, once.
	Submit(ctx context.Context, envs []Envelope) (Pending, error)

	// Read returns the stored envelopes above after (and above the last ack),
	// lowest first, at most max of them and about maxBytes of Data, but at
	// least one if there is any. head is the highest number given out so far.
	// ErrNoBox, ErrGone, ErrCorrupt.
	Read(ctx context.Context, box Box, after uint64, max, maxBytes int) (msgs []Msg, head uint64, err error)

	// Ack releases everything up to each Seq. A Seq above the head counts as
	// the head; a mailbox that is unknown or dropped is passed over.
	Ack(ctx context.Context, acks []BoxSeq) error

	// Attach notes that the mailbox is being read at node, in place of any
	// node before it. It does not survive a restart, and waits for no copy, as
	// Note. ErrNoBox, ErrGone.
	Attach(ctx context.Context, box Box, node string) error

	// Detach forgets the node, if it is still the one attached.
	Detach(ctx context.Context, box Box, node string) error

	// Create opens a mailbox. On one that is open already it sets the limits
	// and keeps the content. ErrGone after a Drop.
	Create(ctx context.Context, box Box, limits Limits) error

	// Drop deletes a mailbox and its content for good; senders get ErrGone
	// from then on. Dropping twice is no error. ErrNoBox.
	Drop(ctx context.Context, box Box) error

	// Sweep expires envelopes that were accepted before olderThan, from the
	// front of each mailbox. budget bounds the work of one call: mailboxes
	// looked at plus envelopes expired. Later calls go on where it stopped;
	// done says that this call reached the last mailbox. The caller answers
	// for its clock.
	Sweep(ctx context.Context, olderThan time.Time, budget int) (expired int, done bool, err error)

	// Expired returns how many envelopes of the mailbox have expired unread
	// and are not cleared yet. ErrNoBox, ErrGone.
	Expired(ctx context.Context, box Box) (uint64, error)

	// ClearExpired takes n, at most all, off the count of Expired: the owner
	// knows of them. ErrNoBox, ErrGone.
	ClearExpired(ctx context.Context, box Box, n uint64) error

	// Get returns a directory value and its version, from 1. ErrNotFound.
	Get(ctx context.Context, key string) (val []byte, ver uint64, err error)

	// CAS sets key to val if it is at version want (0: it does not exist) and
	// returns the new version, want+1. Otherwise ErrVersion and the version
	// it is at.
	CAS(ctx context.Context, key string, want uint64, val []byte) (ver uint64, err error)

	// Note is CAS for records whose loss costs nobody more than doing something
	// again: it goes on while no copy can be made, when CAS does not. What CAS
	// writes after it is lost no sooner than it is.
	Note(ctx context.Context, key string, want uint64, val []byte) (ver uint64, err error)

	// Scan returns the directory values whose keys begin with prefix and are
	// above after, in the byte order of the keys, at most max of them. An after
	// below the prefix begins with its first key.
	Scan(ctx context.Context, prefix, after string, max int) ([]Entry, error)

	// Stats counts what is stored. It may lag a second behind acks, and Oldest
	// may be up to a minute early. The embedded store answers from memory; a
	// database reads every head, and keeps an answer for ten times as long as
	// that took. Oldest is there the oldest of those that come next.
	Stats(ctx context.Context) (Stats, error)

	// Put adds values to a pool.
	Put(ctx context.Context, pool string, vals ...[]byte) error

	// Take removes the oldest value of a pool and returns it. ErrEmpty.
	Take(ctx context.Context, pool string) ([]byte, error)

	// Err is nil while the store accepts writes, else why it does not:
	// ErrStopped with the cause, or ErrClosed. For readiness checks.
	Err() error

	// Close finishes what was begun and releases the files. Acks are kept.
	Close() error
}
