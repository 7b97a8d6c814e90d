package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ErrExists: the file of a witness is there already.
var ErrExists = errors.New("witness: the file is there already, nothing was changed")

// Make makes the file of a new witness or auditor, and never replaces one. The
// name is the one in its signatures; "" chooses one. It returns the verifier keys
// for policies, Ed25519 first. ErrExists, ErrState.
func Make(file, name string) (keys [2]string, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return keys, errors.Join(ErrExists, err)
	}
	s, err := newState(name)
	if err != nil {
		return keys, err
	}
	return [2]string{s.Keys[0].Verifier, s.Keys[1].Verifier}, s.save(file)
}

// ErrRefused: a checkpoint does not continue what was cosigned before.
var ErrRefused = errors.New("witness: the checkpoint does not continue the one that these keys signed last; nothing was signed")

// Last is the size of the checkpoint of a log that was cosigned last; 0: none.
func (w *Witness) Last(origin string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Logs[origin].Size
}

// Cosign signs a checkpoint that follows, with the proof from the one that was
// cosigned last, and gives the note with both signatures added. ErrRefused.
func (w *Witness) Cosign(checkpoint []byte, steps [][32]byte) ([]byte, error) {
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	cp, err := opened(checkpoint, origin, w.logs[origin])
	if err != nil {
		return nil, errors.Join(ErrRefused, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := request{old: w.state.Logs[origin].Size, checkpoint: checkpoint}
	for _, h := range steps {
		r.proof = append(r.proof, h[:])
	}
	if refused := w.continues(origin, r, cp); refused != nil {
		return nil, fmt.Errorf("%w: %s", ErrRefused, strings.TrimSpace(refused.body))
	}
	a := w.cosign(origin, checkpoint, cp)
	if a.status != 200 {
		return nil, fmt.Errorf("%w: %s", ErrState, strings.TrimSpace(a.body))
	}
	return append(checkpoint[:len(checkpoint):len(checkpoint)], a.body...), nil
}
