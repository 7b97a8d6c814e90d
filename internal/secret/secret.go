// Package secret holds the key types that never print, and what erases them.
// Every way in which Go turns a value into text shows "key(redacted)" instead
// of the bytes, with one exception: package fmt calls no method on what it
// reaches through an unexported field. A type of another package that keeps a
// key in one must therefore have a Format method of its own (see Redact).
package secret

import (
	"fmt"
	"log/slog"
)

const redacted = "key(redacted)"

// Key is 32 secret bytes. The zero value is an all-zero key.
type Key [32]byte

// Seed64 is the 64-byte seed of an ML-KEM private key (FIPS 203 d and z).
type Seed64 [64]byte

// Bytes are key material of any length, such as a marshalled session.
type Bytes []byte

// Wipe overwrites the key. Go may have copied it elsewhere; THREAT_MODEL.md
// says what that means.
func (k *Key) Wipe() { clear(k[:]) }

// Wipe overwrites the seed.
func (s *Seed64) Wipe() { clear(s[:]) }

// Format shows no key bytes under any verb, so %x and %v are as safe as %s.
func (k Key) Format(f fmt.State, _ rune) { Redact(f) }

// Format shows no seed bytes under any verb.
func (s Seed64) Format(f fmt.State, _ rune) { Redact(f) }

// Format shows none of the bytes under any verb.
func (b Bytes) Format(f fmt.State, _ rune) { Redact(f) }

// Redact is the Format method of a type that holds keys.
func Redact(f fmt.State) { _, _ = f.Write([]byte(redacted)) }

// LogValue keeps the key out of structured logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue keeps the seed out of structured logs.
func (s Seed64) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the key out of JSON and every other text encoding.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText keeps the seed out of JSON and every other text encoding.
func (s Seed64) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue keeps the bytes out of structured logs.
func (b Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the bytes out of JSON and every other text encoding.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }
