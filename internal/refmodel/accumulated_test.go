package refmodel_test

import (
	"crypto/sha512"
	"fmt"
	"hash"
	"os"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/refmodel"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// long is the conversation that SPEC §17.2 keeps as a hash, in the model alone.
type long struct {
	ends    [2]*modelSide
	waiting [2][][]byte
	sum     hash.Hash
}

func newLong(suite account.Suite) *long {
	own := [2]party{{"alice", []account.Suite{suite}}, {"bob", []account.Suite{suite}}}
	l := &long{sum: sha512.New384()}
	for i := range l.ends {
		l.ends[i] = newModelSide(own[i], own[1-i], refmodel.DefaultPolicy())
		l.ends[i].draw("run of " + own[i].seed)
	}
	return l
}

// bobSends is the rule of SPEC §17.2 for who sends message i.
func bobSends(i int) bool {
	switch i / 100 % 4 {
	case 0:
		return i%2 == 1
	case 1:
		return i/10%2 == 1
	case 2:
		return i%10 == 9
	}
	return i/3%2 == 1
}

// play is the schedule of SPEC §17.2.
func (l *long) play(t *testing.T, count int) {
	now := uint64(pq3test.Now.UnixMilli())
	bundles := [2][]byte{l.ends[0].rotate(now), l.ends[1].rotate(now)}
	late := map[int]letter{}
	for i := range count {
		now += second
		from := 0
		if bobSends(i) {
			from = 1
		}
		text := fmt.Sprintf("message %d%s", i, strings.Repeat(".", 37*i%700))
		sealed := l.ends[from].send(order{now: now, bundle: bundles[1-from], text: []byte(text)})
		if sealed.refused != "" {
			t.Fatalf("message %d: %v", i, sealed)
		}
		l.sum.Write([]byte(sealed.bytes))
		if due, isDue := late[i-3]; isDue {
			l.arrive(t, now, due)
		}
		on := letter{1 - from, []byte(sealed.bytes)}
		switch {
		case i%11 == 3: // lost
		case i%5 == 4:
			late[i] = on
		default:
			l.arrive(t, now, on)
		}
	}
}

// arrive opens a message, then what waits, after each that opens.
func (l *long) arrive(t *testing.T, now uint64, on letter) {
	l.waiting[on.to] = append(l.waiting[on.to], on.wire)
	for again := true; again; {
		again = false
		queue := l.waiting[on.to]
		l.waiting[on.to] = nil
		for _, wire := range queue {
			switch got := l.ends[on.to].receive(now, wire); got.refused {
			case "":
				l.sum.Write([]byte(got.bytes))
				again = true
			case "V-56":
				l.waiting[on.to] = append(l.waiting[on.to], wire)
			default:
				t.Fatalf("an honest message is refused: %v", got)
			}
		}
	}
}

// TestPublishedLongConversation computes the shorter hashes of SPEC §17.2 with
// the model alone and looks for them there.
func TestPublishedLongConversation(t *testing.T) {
	t.Parallel()
	spec, err := os.ReadFile("../../SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []account.Suite{account.PQ3, account.PQ3A} {
		l := newLong(suite)
		l.play(t, 1000)
		line := fmt.Sprintf("%-4s   1,000  %x", suite, l.sum.Sum(nil))
		if !strings.Contains(string(spec), line) {
			t.Errorf("SPEC §17.2 does not say %s", line)
		}
	}
}
