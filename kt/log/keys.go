package log

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
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
	"github.com/posthorn/posthorn/server/store"
)

const keysFile = "keys.json"

// storedKeys are what the log signs with, and the key that hides names. A single
// server has them in a file of mode 0600. Nodes that share a store have them in
// it, so that they are one log to everybody.
type storedKeys struct {
	Schema  string     `json:"schema"`
	Counter uint32     `json:"counter"`
	Origin  string     `json:"origin"`  // what both logs' names begin with
	VRF     []byte     `json:"vrf"`     // 32 bytes
	Updates [2]keyPair `json:"updates"` // of U: Ed25519 and ML-DSA-44
	Roots   [2]keyPair `json:"roots"`   // of R
}

// keyPair is a key of one log in the two text forms of signed notes.
type keyPair struct {
	Signer   string `json:"signer"`
	Verifier string `json:"verifier"`
}

// Format shows nothing of the keys.
func (storedKeys) Format(f fmt.State, _ rune) { secret.Redact(f) }

const keysSchema = "posthornd.log-keys/1"

// newKeys draws keys for a new log. Its name is a random one, so that no two
// logs have the same.
func newKeys() (storedKeys, error) {
	var random [32]byte
	_, _ = rand.Read(random[:])
	id := sha256.Sum256(random[:])
	k := storedKeys{Schema: keysSchema, Counter: 1, Origin: "posthorn-" + hex.EncodeToString(id[:8])}
	vrf := make([]byte, 32)
	_, _ = rand.Read(vrf)
	k.VRF = vrf
	for _, log := range []struct {
		path string
		keys *[2]keyPair
	}{{"/kt/updates", &k.Updates}, {"/kt/roots", &k.Roots}} {
		ed, edPublic, err := note.GenerateKey(rand.Reader, k.Origin+log.path)
		if err != nil {
			return k, err
		}
		ml, mlPublic, err := fnote.GenerateMLDSAKey(k.Origin + log.path)
		if err != nil {
			return k, err
		}
		*log.keys = [2]keyPair{{ed, edPublic}, {ml, mlPublic}}
	}
	return k, nil
}

func parseKeys(b []byte) (k storedKeys, err error) {
	if err := json.Unmarshal(b, &k); err != nil || k.Schema != keysSchema || len(k.VRF) != 32 {
		return storedKeys{}, errKeys
	}
	return k, nil
}

var errKeys = errors.New("log: the keys of the transparency log cannot be read; restore them from a backup")

// loadKeys reads the keys from the store, if nodes share it, and otherwise from
// the folder, and makes them when there are none. A server that was moved into
// a shared store brings its own along.
func loadKeys(ctx context.Context, folder string, records Records, shared bool) (storedKeys, error) {
	value, _, err := records.Get(ctx, secretKey)
	switch {
	case err == nil:
		return parseKeys(value)
	case !errors.Is(err, store.ErrNotFound):
		return storedKeys{}, err
	}
	_, _, err = records.Get(ctx, epochKey(0))
	begun := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return storedKeys{}, err
	}
	k, err := fileKeys(folder, begun)
	if err != nil || !shared {
		return k, err
	}
	value, err = json.Marshal(k)
	if err != nil {
		return k, err
	}
	if _, err = records.CAS(ctx, secretKey, 0, value); errors.Is(err, store.ErrVersion) {
		return loadKeys(ctx, folder, records, shared)
	}
	return k, err
}

// ErrNoKeys: the store holds a log whose keys are not there.
var ErrNoKeys = errors.New("log: the keys of the transparency log are missing, and the store holds a log that was signed with them; nothing was started")

// fileKeys reads the file, or makes it unless a log has begun without it.
func fileKeys(folder string, begun bool) (storedKeys, error) {
	raw, err := os.ReadFile(filepath.Join(folder, keysFile))
	switch {
	case err == nil:
		return parseKeys(raw)
	case !errors.Is(err, fs.ErrNotExist):
		return storedKeys{}, err
	case begun:
		return storedKeys{}, ErrNoKeys
	}
	k, err := newKeys()
	if err != nil {
		return k, err
	}
	raw, err = json.MarshalIndent(k, "", "  ")
	if err != nil {
		return k, err
	}
	return k, writeOnce(folder, keysFile, raw)
}

// MakeKeys makes the keys of a log that is to begin, unless they are there, and
// returns the verifier keys of U and R. With them, witnesses can be told of the
// log before its first start, which binds the policy.
func MakeKeys(folder string) (updates, roots [2]string, err error) {
	k, err := fileKeys(folder, false)
	if err != nil {
		return updates, roots, err
	}
	for i := range 2 {
		updates[i], roots[i] = k.Updates[i].Verifier, k.Roots[i].Verifier
	}
	return updates, roots, nil
}

// writeOnce makes a file that only its owner reads, whole or not at all, and
// waits until it is on the disk.
func writeOnce(folder, name string, b []byte) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, "."+name+".") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has its name by then, or is of no use
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(folder, name)); err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
