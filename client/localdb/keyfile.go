package localdb

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/zalando/go-keyring"
	"golang.org/x/crypto/argon2"

	"github.com/posthorn/posthorn/internal/secret"
)

const (
	keyFile   = "key.json"
	keyFormat = 1
	// keyStoreService is the name of our entries in the system's key store.
	keyStoreService = "posthorn"
)

// KDF is the cost of turning a passphrase into a key with Argon2id.
type KDF struct {
	Time      uint32 `json:"time"`       // passes over the memory
	MemoryKiB uint32 `json:"memory_kib"` // memory in KiB
	Threads   uint8  `json:"threads"`
}

// DefaultKDF is 3 passes over 64 MiB with 4 threads, the second recommended
// choice of RFC 9106.
func DefaultKDF() KDF { return KDF{Time: 3, MemoryKiB: 64 << 10, Threads: 4} }

// valid bounds what a damaged file can make this machine do.
func (k KDF) valid() bool {
	return k.Time >= 1 && k.Time <= 1000 && k.MemoryKiB >= 8 && k.MemoryKiB <= 4<<20 && k.Threads >= 1
}

// wrappedKey is key.json: the master key under a key that the file does not
// hold.
type wrappedKey struct {
	Format  int    `json:"format"`
	Source  string `json:"source"`          // "passphrase" or "keystore"
	Entry   string `json:"entry,omitempty"` // name of the key store's entry
	KDF     *KDF   `json:"argon2id,omitempty"`
	Salt    []byte `json:"salt,omitempty"` // 32 bytes
	Wrapped []byte `json:"wrapped"`        // AES-256-GCM of the master key
}

const (
	fromPassphrase = "passphrase"
	fromKeyStore   = "keystore"
)

// newMaster draws a master key and wraps it, in the key store if that is
// wanted and works, else under a passphrase.
func newMaster(unlock Unlock) (*secret.Key, *wrappedKey, error) {
	master := new(secret.Key)
	random(master[:])
	secret.Created("master key", master[:])
	w := &wrappedKey{Format: keyFormat}
	wrapping, err := w.newWrapping(unlock)
	if err != nil {
		return nil, nil, err
	}
	defer wrapping.Wipe()
	s, err := newSealer(wrapping)
	if err != nil {
		return nil, nil, err
	}
	w.Wrapped = s.seal(w.binding(), nil, master[:])
	return master, w, nil
}

func (w *wrappedKey) newWrapping(unlock Unlock) (*secret.Key, error) {
	if unlock.UseKeyStore {
		if wrapping := w.intoKeyStore(); wrapping != nil {
			return wrapping, nil
		}
	}
	kdf := unlock.KDF
	if kdf == (KDF{}) {
		kdf = DefaultKDF()
	}
	w.Source, w.KDF, w.Salt = fromPassphrase, &kdf, make([]byte, 32)
	random(w.Salt)
	return w.derive(unlock, true)
}

// intoKeyStore stores a new wrapping key and reads it back; nil when the
// system has no key store that works.
func (w *wrappedKey) intoKeyStore() *secret.Key {
	wrapping := new(secret.Key)
	random(wrapping[:])
	secret.Created("wrapping key", wrapping[:])
	name := make([]byte, 8)
	random(name)
	entry, value := hex.EncodeToString(name), hex.EncodeToString(wrapping[:])
	if keyring.Set(keyStoreService, entry, value) != nil {
		return nil
	}
	if back, err := keyring.Get(keyStoreService, entry); err != nil || back != value {
		return nil
	}
	w.Source, w.Entry = fromKeyStore, entry
	return wrapping
}

// derive asks for the passphrase, turns it into the wrapping key, and wipes it.
func (w *wrappedKey) derive(unlock Unlock, create bool) (*secret.Key, error) {
	if unlock.Passphrase == nil {
		return nil, ErrNoPassphrase
	}
	passphrase, err := unlock.Passphrase(create)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	if len(passphrase) == 0 {
		return nil, ErrNoPassphrase
	}
	b := argon2.IDKey(passphrase, w.Salt, w.KDF.Time, w.KDF.MemoryKiB, w.KDF.Threads, 32)
	defer clear(b)
	key := secret.Key(b)
	secret.Created("wrapping key", key[:])
	return &key, nil
}

// binding ties the wrapped key to how it is to be unwrapped, so that the cost
// cannot be lowered in the file.
func (w *wrappedKey) binding() string {
	b, _ := json.Marshal(wrappedKey{Format: w.Format, Source: w.Source, Entry: w.Entry, KDF: w.KDF, Salt: w.Salt})
	return string(b)
}

// readMaster unwraps the master key of the profile in dir.
func readMaster(dir string, unlock Unlock) (*secret.Key, error) {
	w, err := readKeyFile(dir)
	if err != nil {
		return nil, err
	}
	wrapping, err := w.wrapping(unlock)
	if err != nil {
		return nil, err
	}
	defer wrapping.Wipe()
	s, err := newSealer(wrapping)
	if err != nil {
		return nil, err
	}
	plain, err := s.open(w.binding(), nil, w.Wrapped)
	switch {
	case err != nil && w.Source == fromPassphrase:
		return nil, ErrWrongPassphrase
	case err != nil || len(plain) != len(secret.Key{}):
		return nil, corrupt(keyFile)
	}
	defer clear(plain)
	master := secret.Key(plain)
	return &master, nil
}

func readKeyFile(dir string) (*wrappedKey, error) {
	b, err := os.ReadFile(filepath.Join(dir, keyFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoProfile
	}
	if err != nil {
		return nil, fmt.Errorf("localdb: read %s: %w", keyFile, err)
	}
	return parseKeyFile(b)
}

// parseKeyFile reads key.json and refuses what could not be unwrapped, or only
// at a cost that nobody chose.
func parseKeyFile(b []byte) (*wrappedKey, error) {
	w := new(wrappedKey)
	if json.Unmarshal(b, w) != nil || w.Format < 1 {
		return nil, corrupt(keyFile)
	}
	if w.Format > keyFormat {
		return nil, fmt.Errorf("%w: %s has format %d", ErrNewerSchema, keyFile, w.Format)
	}
	usable := w.Source == fromKeyStore && w.Entry != "" ||
		w.Source == fromPassphrase && w.KDF != nil && w.KDF.valid() && len(w.Salt) == 32
	if !usable {
		return nil, corrupt(keyFile)
	}
	return w, nil
}

func (w *wrappedKey) wrapping(unlock Unlock) (*secret.Key, error) {
	if w.Source == fromPassphrase {
		return w.derive(unlock, false)
	}
	value, err := keyring.Get(keyStoreService, w.Entry)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrKeyStore, err)
	}
	b, err := hex.DecodeString(value)
	if err != nil || len(b) != len(secret.Key{}) {
		return nil, ErrKeyStore
	}
	defer clear(b)
	key := secret.Key(b)
	return &key, nil
}

// write puts key.json in place in one step, readable by nobody else.
func (w *wrappedKey) write(dir string) error {
	b, err := w.marshal()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, keyFile)
	if err := replaceFile(path, b); err != nil {
		return fmt.Errorf("localdb: write %s: %w", keyFile, err)
	}
	return nil
}

func (w *wrappedKey) marshal() ([]byte, error) {
	b, err := json.MarshalIndent(w, "", "  ")
	return append(b, '\n'), err
}
