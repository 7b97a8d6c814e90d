package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// maxRequest bounds a request: a proof of 63 hashes and a checkpoint with a dozen
// signatures.
const maxRequest = 64 << 10

// Witness cosigns checkpoints of the logs that it was given. Make it with Open;
// its methods may be called from many goroutines. Only one process may have its
// file.
type Witness struct {
	file string
	logs map[string][]note.Verifier // by origin
	keys []note.Signer
	own  [2]string // verifier keys

	mu    sync.Mutex
	state state
}

// Open reads the file of a witness, or makes one with new keys, and takes the
// verifier keys of the logs that it is to watch: a log's name is its origin, and
// of a log with several keys each must have signed. The name is for a new file;
// "" chooses one. ErrState, ErrLogs.
func Open(file, name string, logs []string) (*Witness, error) {
	s, err := load(file, name)
	if err != nil {
		return nil, err
	}
	return newWitness(file, s, logs)
}

// Load is Open for a file that must be there.
func Load(file string, logs []string) (*Witness, error) {
	s, err := read(file)
	if err != nil {
		return nil, err
	}
	return newWitness(file, s, logs)
}

func newWitness(file string, s state, logs []string) (*Witness, error) {
	w := &Witness{file: file, state: s, logs: map[string][]note.Verifier{}}
	for _, key := range logs {
		v, err := verifier(key)
		if err != nil {
			return nil, err
		}
		w.logs[v.Name()] = append(w.logs[v.Name()], v)
	}
	for _, k := range w.state.Keys {
		s, err := fnote.NewSignerForCosignatureV1(k.Signer)
		if err != nil {
			return nil, ErrState
		}
		w.keys = append(w.keys, s)
	}
	w.own = [2]string{w.state.Keys[0].Verifier, w.state.Keys[1].Verifier}
	return w, nil
}

// ErrLogs: what was given as the key of a log is none.
var ErrLogs = errors.New("witness: not the verifier key of a log; nothing was started")

// verifier reads the key of a log: Ed25519 as in every signed note, or ML-DSA-44.
func verifier(key string) (note.Verifier, error) {
	if v, err := note.NewVerifier(key); err == nil {
		return v, nil
	}
	v, err := fnote.NewMLDSAVerifier(key)
	if err != nil {
		return nil, ErrLogs
	}
	return v, nil
}

// Keys are the verifier keys for policies, Ed25519 first.
func (w *Witness) Keys() [2]string { return w.own }

// answer is what a request gets.
type answer struct {
	status int
	size   bool // the body is a size
	body   string
}

func refuse(status int, text string) answer { return answer{status: status, body: text + "\n"} }

// ServeHTTP implements add-checkpoint of C2SP tlog-witness, under any prefix: a
// policy may need two addresses for the two keys.
func (w *Witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/add-checkpoint") {
		http.NotFound(out, r)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(out, "add-checkpoint takes POST", http.StatusMethodNotAllowed)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(out, r.Body, maxRequest))
	a := refuse(http.StatusBadRequest, "the request is cut off or too long")
	if err == nil {
		a = w.add(raw)
	}
	out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.size {
		out.Header()["Content-Type"] = []string{"text/x.tlog.size"}
	}
	out.WriteHeader(a.status)
	_, _ = io.WriteString(out, a.body)
}

// request is what a log asks for.
type request struct {
	old        uint64
	proof      [][]byte
	checkpoint []byte
}

var errRequest = errors.New("witness: not a request to add a checkpoint")

// maxProof is how many hashes a proof has at most.
const maxProof = 63

func parseRequest(raw []byte) (r request, err error) {
	head, checkpoint, found := bytes.Cut(raw, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, isOld := strings.CutPrefix(lines[0], "old ")
	if r.old, err = strconv.ParseUint(size, 10, 63); err != nil || !found || !isOld || size != strconv.FormatUint(r.old, 10) || len(lines) > maxProof+1 {
		return request{}, errRequest
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != 32 {
			return request{}, errRequest
		}
		r.proof = append(r.proof, h)
	}
	r.checkpoint = checkpoint
	return r, nil
}

// add decides about one request, in the order of the specification.
func (w *Witness) add(raw []byte) answer {
	r, err := parseRequest(raw)
	if err != nil {
		return refuse(http.StatusBadRequest, "not an old size, a proof and a checkpoint")
	}
	origin, _, _ := strings.Cut(string(r.checkpoint), "\n")
	keys, known := w.logs[origin]
	if !known {
		return refuse(http.StatusNotFound, "this witness does not watch that log")
	}
	cp, err := opened(r.checkpoint, origin, keys)
	if errors.Is(err, errUnsigned) {
		return refuse(http.StatusForbidden, "the checkpoint is not signed with every key that this witness has of the log")
	}
	if err != nil || r.old > cp.Size {
		return refuse(http.StatusBadRequest, "not a checkpoint, or the old size is beyond it")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if refused := w.continues(origin, r, cp); refused != nil {
		return *refused
	}
	return w.cosign(origin, r.checkpoint, cp)
}

var errUnsigned = errors.New("witness: a signature of the log is missing")

// opened verifies the signatures of the log. A note of another form is told apart
// from one without them.
func opened(checkpoint []byte, origin string, keys []note.Verifier) (*flog.Checkpoint, error) {
	n, err := note.Open(checkpoint, note.VerifierList(keys...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return nil, errUnsigned
	}
	if invalid := (*note.InvalidSignatureError)(nil); errors.As(err, &invalid) {
		return nil, errUnsigned
	}
	if err != nil {
		return nil, err
	}
	if len(n.Sigs) != len(keys) {
		return nil, errUnsigned
	}
	cp := &flog.Checkpoint{}
	if rest, err := cp.Unmarshal([]byte(n.Text)); err != nil || cp.Origin != origin || len(cp.Hash) != 32 || len(rest) != 0 {
		return nil, errRequest
	}
	return cp, nil
}

// continues holds a checkpoint against the last one that was cosigned.
func (w *Witness) continues(origin string, r request, cp *flog.Checkpoint) *answer {
	last := w.state.Logs[origin]
	var refused answer
	switch {
	case r.old != last.Size:
		refused = answer{status: http.StatusConflict, size: true, body: fmt.Sprintf("%d\n", last.Size)}
	case r.old == cp.Size && last.Size > 0 && !bytes.Equal(last.Root, cp.Hash):
		refused = refuse(http.StatusConflict, "another root was cosigned for this size")
	case r.old == cp.Size && len(r.proof) == 0:
		if cp.Size > 0 || bytes.Equal(cp.Hash, rfc6962.DefaultHasher.EmptyRoot()) {
			return nil
		}
		refused = refuse(http.StatusUnprocessableEntity, "an empty log has another root")
	case r.old == 0 && len(r.proof) == 0:
		return nil
	case r.old > 0 && r.old < cp.Size &&
		proof.VerifyConsistency(rfc6962.DefaultHasher, r.old, cp.Size, r.proof, last.Root, cp.Hash) == nil:
		return nil
	default:
		refused = refuse(http.StatusUnprocessableEntity, "the proof does not lead from the cosigned root to this one")
	}
	return &refused
}

// cosign remembers the checkpoint for good, and then signs it with both keys.
func (w *Witness) cosign(origin string, checkpoint []byte, cp *flog.Checkpoint) answer {
	before, had := w.state.Logs[origin]
	w.state.Logs[origin] = logged{cp.Size, cp.Hash}
	if err := w.state.save(w.file); err != nil {
		// Whether the file is replaced is not known. What is in memory stays at the
		// greater size only if it is: the next request reads the file again.
		if s, bad := read(w.file); bad == nil {
			w.state = s
		} else if w.state.Logs[origin] = before; !had {
			delete(w.state.Logs, origin)
		}
		return refuse(http.StatusInternalServerError, "the witness cannot store what it signs; nothing was signed")
	}
	text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
	signed, err := note.Sign(&note.Note{Text: string(text) + "\n"}, w.keys...)
	if err != nil {
		return refuse(http.StatusInternalServerError, "the witness cannot sign")
	}
	_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	return answer{status: http.StatusOK, body: string(lines)}
}
