// Package blob is the contract between the server and whatever keeps its sealed
// attachments. Each driver passes the suite in blobtest.
//
// A file comes in parts of PartSize bytes, the last one shorter, written in
// order by one uploader and not readable before Finish. What every driver
// promises:
//
//  1. Durability. WritePart and Finish return nil only when their effect
//     survives a power cut. After an error the same call may be made again.
//  2. Visibility. Size and Read know finished files alone, and a file is
//     finished whole or not at all.
//  3. Repeats. A part that is written again with the same bytes, and a file
//     that is finished again, change nothing.
//  4. Removal. Remove takes a file away, finished or not, and is no error where
//     there is none. Sweep removes by age.
//  5. Age. A file's age counts from its finish, by the clock of whatever keeps
//     it, until Date says from when. List shows every file that was finished
//     before it began and that nobody removes meanwhile.
//
// Drivers check no digests: the server does so at the end of an upload, and the
// device that fetches a file does so for itself. All methods may be called from
// many goroutines.
package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/posthorn/posthorn/api"
)

// PartSize is the length of every part but a file's last, in bytes.
const PartSize = api.AttachmentPart

// ErrNotFound: no such file, or a part of an upload whose beginning is gone.
var ErrNotFound = errors.New("blob: no such file")

// ID names one file.
type ID [16]byte

// String is lower-case hex, which drivers use as a name.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// File is one finished file in a listing.
type File struct {
	ID       ID
	Finished time.Time // see Store.Finished
}

// Store keeps files. See the package text for what its methods promise.
type Store interface {
	// WritePart stores part n, which begins at n × PartSize. ErrNotFound when
	// an earlier part is missing.
	WritePart(ctx context.Context, id ID, n int, data []byte) error

	// Finish makes the file readable. size is the sum of its parts.
	// ErrNotFound when parts are missing.
	Finish(ctx context.Context, id ID, size uint64) error

	// Size is the length of a finished file. ErrNotFound.
	Size(ctx context.Context, id ID) (uint64, error)

	// Read returns length bytes of a finished file from offset on, or fewer
	// where it ends. ErrNotFound.
	Read(ctx context.Context, id ID, offset uint64, length int) ([]byte, error)

	// Remove deletes a file or an upload.
	Remove(ctx context.Context, id ID) error

	// Sweep deletes files finished before finished, and uploads without a new
	// part since unfinished. It returns how many went.
	Sweep(ctx context.Context, finished, unfinished time.Time) (int, error)

	// List shows finished files, in any order and in little memory, until visit
	// returns an error, which it returns.
	List(ctx context.Context, visit func(File) error) error

	// Finished is from when on the age of a finished file counts. ErrNotFound.
	Finished(ctx context.Context, id ID) (time.Time, error)

	// Date has the age of a finished file count from another time, to the
	// millisecond. ErrNotFound.
	Date(ctx context.Context, id ID, finished time.Time) error

	// Close releases what the driver holds.
	Close() error
}
