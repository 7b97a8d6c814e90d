// Package secret holds the key types that never print. Every way in which Go
// turns a value into text shows "key(redacted)" instead of the bytes.
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

// Wipe overwrites the key. Go may have copied it elsewhere; THREAT_MODEL.md
// says what that means.
func (k *Key) Wipe() { clear(k[:]) }

// Wipe overwrites the seed.
func (s *Seed64) Wipe() { clear(s[:]) }

// Format shows no key bytes under any verb, so %x and %v are as safe as %s.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// Format shows no seed bytes under any verb.
func (s Seed64) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue keeps the key out of structured logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue keeps the seed out of structured logs.
func (s Seed64) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the key out of JSON and every other text encoding.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText keeps the seed out of JSON and every other text encoding.
func (s Seed64) MarshalText() ([]byte, error) { return []byte(redacted), nil }
