package attachment

import "math/bits"

// Sizes of the format, in bytes.
const (
	// ChunkSize is how much of a padded file one chunk holds; the last one may
	// hold less.
	ChunkSize = 64 << 10
	// Overhead is what sealing adds to a chunk.
	Overhead = 16
	// SealedChunkSize is a sealed chunk that is not the last.
	SealedChunkSize = ChunkSize + Overhead
	// MaxSize is the greatest file: 1 TiB.
	MaxSize = 1 << 40
	// DigestSize is the length of SHA-384.
	DigestSize = 48
	// floor is the smallest padded file, so that short ones look alike.
	floor = 1024
)

// PaddedSize is the length to which a file is filled up with zeros: Padmé with
// a floor. It tells at most the order of magnitude and the next few bits of the
// size, and adds 11.6 % at the most above the floor. SPEC §12.1.
func PaddedSize(size uint64) uint64 {
	if size <= floor {
		return floor
	}
	exponent := bits.Len64(size) - 1
	low := uint64(1)<<(exponent-bits.Len(uint(exponent))) - 1
	return (size + low) &^ low
}

// Chunks is how many chunks a file of that size has; at least one.
func Chunks(size uint64) uint64 { return (PaddedSize(size) + ChunkSize - 1) / ChunkSize }

// SealedSize is the length of all sealed chunks together.
func SealedSize(size uint64) uint64 { return PaddedSize(size) + Chunks(size)*Overhead }

// paddedChunk is how many bytes of the padded file chunk i holds.
func paddedChunk(size, i uint64) int {
	return int(min(ChunkSize, PaddedSize(size)-i*ChunkSize))
}

// fileChunk is how many of these are the file's own; the rest is padding.
func fileChunk(size, i uint64) int {
	from := i * ChunkSize
	if from >= size {
		return 0
	}
	return int(min(ChunkSize, size-from))
}
