package attachment

import (
	"errors"

	"github.com/posthorn/posthorn/internal/reject"
)

// Error is a refusal by one check of SPEC §15.
type Error = reject.Error

var (
	// ErrSize: a file over 1 TiB, or a chunk or file that has not the length
	// that follows from the size it was announced with.
	ErrSize = errors.New("attachment: wrong size")
	// ErrChunk: a sealed chunk that was altered, that stands at another place
	// than it was sealed for, or that belongs to another file.
	ErrChunk = errors.New("attachment: a chunk does not verify")
	// ErrPadding: bytes other than zero after the end of the file.
	ErrPadding = errors.New("attachment: padding is not zero")
	// ErrDigest: all chunks verify, but together they are not what the sender
	// signed for.
	ErrDigest = errors.New("attachment: digest is not the sender's")
)
