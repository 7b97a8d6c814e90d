package witness

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/internal/secret"
)

const stateSchema = "posthornd.witness/1"

// state is what the file holds.
type state struct {
	Schema string            `json:"schema"`
	Name   string            `json:"name"`
	Keys   [2]keyPair        `json:"keys"` // Ed25519 and ML-DSA-44
	Logs   map[string]logged `json:"logs"` // by origin
}

// keyPair is a key in the text forms of signed notes. The verifier is the one of
// cosignatures.
type keyPair struct {
	Signer   string `json:"signer"`
	Verifier string `json:"verifier"`
}

// logged is the last cosigned checkpoint of a log.
type logged struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"` // 32 bytes
}

// Format shows nothing of the keys.
func (state) Format(f fmt.State, _ rune) { secret.Redact(f) }

// ErrState: the file cannot be read.
var ErrState = errors.New("witness: its file of state cannot be used; nothing was started")

// newState draws keys. The name of the witness is a random one, unless it is
// given.
func newState(name string) (s state, err error) {
	if name == "" {
		var id [8]byte
		_, _ = rand.Read(id[:])
		name = "posthorn-witness-" + hex.EncodeToString(id[:])
	}
	s = state{Schema: stateSchema, Name: name, Logs: map[string]logged{}}
	ed, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return s, fmt.Errorf("%w: not a name for a witness", ErrState)
	}
	cosigner, err := fnote.VKeyToCosignatureV1(public)
	if err != nil {
		return s, err
	}
	s.Keys[0] = keyPair{ed, cosigner}
	s.Keys[1].Signer, s.Keys[1].Verifier, err = fnote.GenerateMLDSAKey(name)
	return s, err
}

// parseState reads the file strictly as far as it decides what may be signed.
func parseState(raw []byte) (s state, err error) {
	if json.Unmarshal(raw, &s) != nil || s.Schema != stateSchema || s.Logs == nil {
		return state{}, ErrState
	}
	for _, l := range s.Logs {
		if len(l.Root) != 32 {
			return state{}, ErrState
		}
	}
	return s, nil
}

// load reads the file, or makes it.
func load(file, name string) (state, error) {
	s, err := read(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s, err = newState(name); err != nil {
		return s, err
	}
	return s, s.save(file)
}

// read reads the file and makes none: a witness at work that lost it must not
// begin anew, for it would sign again what it has forgotten.
func read(file string) (state, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return state{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	return parseState(raw)
}

// save replaces the file, and returns when the new one is on the disk.
func (s state) save(file string) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(file)
	f, err := os.CreateTemp(folder, "."+filepath.Base(file)+".") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has its name by then, or is of no use
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncFolder(folder)
}
