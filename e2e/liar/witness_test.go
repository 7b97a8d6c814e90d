package liar

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	cosign "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

// witness speaks C2SP tlog-witness, with the code of sumdb alone: it signs what
// continues what it signed before.
type witness struct {
	t       testing.TB
	url     string
	key     string // verifier key
	signer  note.Signer
	log     func() note.Verifier
	refused chan struct{} // receives when a log contradicted itself

	mu   sync.Mutex
	seen tlog.Tree
}

const witnessName = "witness.example"

func newWitness(t *testing.T) *witness {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, witnessName)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{t: t, key: public, refused: make(chan struct{}, 1)}
	if w.signer, err = cosign.NewSignerForCosignatureV1(secret); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(w)
	t.Cleanup(listening.Close)
	w.url = listening.URL
	return w
}

// policy asks for this witness.
func (w *witness) policy() []byte {
	return fmt.Appendf(nil, "witness w %s %s\nquorum w\n", w.key, w.url)
}

// ServeHTTP answers add-checkpoint.
func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	if err != nil || !found {
		out.WriteHeader(http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	code, answer := w.judge(strings.Split(string(head), "\n"), signed)
	if code == http.StatusConflict && len(answer) > 0 {
		out.Header().Set("Content-Type", "text/x.tlog.size")
	}
	out.WriteHeader(code)
	_, _ = out.Write(answer)
}

// judge decides about a checkpoint. Its first line is the size that the log
// believes the witness to have, the others are a proof from there.
func (w *witness) judge(head []string, signed []byte) (int, []byte) {
	n, err := note.Open(signed, note.VerifierList(w.log()))
	if err != nil {
		return http.StatusForbidden, nil
	}
	tree, err := treeOf(n.Text)
	var old int64
	if _, failed := fmt.Sscanf(head[0], "old %d", &old); failed != nil || err != nil {
		return http.StatusBadRequest, nil
	}
	if old != w.seen.N {
		return http.StatusConflict, fmt.Appendf(nil, "%d\n", w.seen.N)
	}
	if tree.N == old && old > 0 {
		if tree.Hash != w.seen.Hash {
			return w.contradicted(), nil
		}
	} else if old > 0 {
		var proof tlog.TreeProof
		for _, line := range head[1:] {
			h, err := tlog.ParseHash(line)
			if err != nil {
				return http.StatusBadRequest, nil
			}
			proof = append(proof, h)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old, w.seen.Hash); err != nil {
			return w.contradicted(), nil
		}
	}
	w.seen = tree
	return http.StatusOK, w.cosign(n.Text)
}

func (w *witness) contradicted() int {
	select {
	case w.refused <- struct{}{}:
	default:
	}
	return http.StatusUnprocessableEntity
}

// cosign gives the line of a signature with the time.
func (w *witness) cosign(text string) []byte {
	signed, err := note.Sign(&note.Note{Text: text}, w.signer)
	if err != nil {
		w.t.Error(err)
	}
	return bytes.TrimPrefix(signed, []byte(text+"\n"))
}

// newWitnessed is an operator whose log has a witness.
func newWitnessed(t *testing.T) (*operator, *witness) {
	t.Helper()
	w := newWitness(t)
	o := &operator{t: t}
	w.log = sync.OnceValue(func() note.Verifier {
		v, err := note.NewVerifier(o.keyFile().Roots[0].Verifier)
		if err != nil {
			panic(err)
		}
		return v
	})
	o.start(w.policy())
	return o, w
}

// TestA25SplitViewByWitness: a witness signs one of two logs. The other cannot be
// published, and shown without the witness it is not believed.
func TestA25SplitViewByWitness(t *testing.T) {
	t.Parallel()
	o, w := newWitnessed(t)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	ghost, key := newDevice(t)
	haunted := victim.adds(ghost, key)
	stolen := kt.RecordOf("victim", haunted)
	other, byHand := o.fork(), newForger(o)
	o.join("bob") // the witness follows the log with bob

	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	published := make(chan error, 1)
	go func() { published <- other.Publish(ctx, stolen) }()
	select {
	case <-w.refused:
	case <-ctx.Done():
		t.Fatal("the witness was not asked")
	}
	cancel()
	if err := <-published; !errors.Is(err, ktlog.ErrWaiting) {
		t.Errorf("the other log published the stolen record: %v", err)
	}

	reply, err := o.log.Answer(within(t), "victim", ktlog.Asked{})
	if err != nil {
		t.Fatal(err)
	}
	p := reply.Answer.Present
	byHand.claim(stolen, 1, kt.Chain(p.Version, p.Before, kt.Commit(p.Opening, p.Version, *reply.Record)))
	byHand.epoch()
	alice.front.sees(byHand, map[account.Name]*account.Roster{"victim": haunted})
	alice.refuses("V-183", "send", "@victim", "not for ghosts")
	o.convicts(alice, "answer", "V-183")
	alice.wroteOnlyTo(victim)
}

// TestA25V183WithheldWitness: the log's own signatures, without the witness's.
func TestA25V183WithheldWitness(t *testing.T) {
	t.Parallel()
	o, _ := newWitnessed(t)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.front.tampers("victim", func(a *kt.Answer) {
		text, lines := signatureLines(a.Checkpoint)
		a.Checkpoint = append(text, '\n')
		for _, line := range lines {
			if !bytes.Contains(line, []byte(" "+witnessName+" ")) {
				a.Checkpoint = append(a.Checkpoint, line...)
			}
		}
	})
	alice.refuses("V-183", "send", "@victim", "unwitnessed")
	o.convicts(alice, "answer", "V-183")
	alice.front.honest()
	alice.must("send", "@victim", "witnessed")
	alice.wroteOnlyTo(victim)
}
