package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// FuzzNotice: what a node says is read as it was, and everything else that
// comes on the bus is refused, whether it is sealed or not.
func FuzzNotice(f *testing.F) {
	decodertest.Seed(f, "beat", notice{kind: noticeBeat, lost: 3}.marshal())
	decodertest.Seed(f, "moved", notice{kind: noticeMoved, box: store.Box{1}}.marshal())
	decodertest.Seed(f, "stored", notice{kind: noticeStored, msg: store.Msg{Seq: 7, At: time.UnixMilli(5), Data: []byte("x")}}.marshal())
	decodertest.Seed(f, "sealed", append(codec.AppendV16(nil, []byte("there-00")), make([]byte, macSize+8+1+16)...))
	keys := &keyring{store: memory.New()}
	here := newSealer(keys, "here-00")
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, parseNotice, notice.marshal)
		if _, _, err := here.open(b); err == nil {
			t.Fatal("a message that no node has sent is taken")
		}
	})
}

// TestBusIsSealed: somebody who runs the bus reads nothing, and can bring
// nothing to a node that another node did not send to it.
func TestBusIsSealed(t *testing.T) {
	keys := &keyring{store: memory.New()}
	here, there := newSealer(keys, "here-00"), newSealer(keys, "there-00")
	now := time.Now()
	pushed := notice{kind: noticeStored, box: store.Box{9}, msg: store.Msg{Seq: 1, At: time.UnixMilli(1), Data: []byte("canary of a payload")}}
	sealed, err := there.seal(t.Context(), "here-00", pushed, now)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("canary")) || bytes.Contains(sealed, pushed.box[:]) {
		t.Error("the bus sees what is pushed")
	}
	if from, n, err := here.open(bytes.Clone(sealed)); err != nil || from != "there-00" || !bytes.Equal(n.marshal(), pushed.marshal()) {
		t.Fatalf("from %q: %v, %v", from, n, err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, _, err := here.open(changed); err == nil {
			t.Fatalf("taken with byte %d changed", i)
		}
	}
	if _, _, err := newSealer(keys, "third-00").open(sealed); err == nil {
		t.Error("taken by a node that it is not for")
	}
	if _, _, err := there.open(sealed); err == nil {
		t.Error("taken by its own sender")
	}
	foreign := newSealer(&keyring{store: memory.New()}, "there-00")
	if sealed, err = foreign.seal(t.Context(), "here-00", pushed, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := here.open(sealed); err == nil {
		t.Error("taken from a node of another server")
	}
}

// A broadcast counts once, in whatever order they come.
func TestBroadcastsCountOnce(t *testing.T) {
	keys := &keyring{store: memory.New()}
	here, there := newSealer(keys, "here-00"), newSealer(keys, "there-00")
	var sent [][]byte
	for range 20 {
		b, err := there.seal(t.Context(), "", notice{kind: noticeMoved}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, b)
	}
	for _, i := range []int{3, 0, 19, 7, 1, 18} {
		for again := range 2 {
			if _, _, err := here.open(sent[i]); (err == nil) != (again == 0) {
				t.Errorf("broadcast %d, time %d: %v", i, again, err)
			}
		}
	}
	var w window
	if !w.take(100) || w.take(36) || !w.take(37) || w.take(37) || !w.take(1000) || w.take(100) {
		t.Error("the window is wrong at its edges")
	}
}

// Nodes understand each other across a change of the keys.
func TestSealsOutliveKeys(t *testing.T) {
	s, now := memory.New(), time.Now()
	here, there := newSealer(&keyring{store: s}, "here-00"), newSealer(&keyring{store: s}, "there-00")
	for day := range 3 {
		sealed, err := there.seal(t.Context(), "here-00", notice{kind: noticeBeat}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := here.open(sealed); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
		if day == 0 {
			now = now.Add(keyLife) // here goes by the old keys still
		}
	}
}

// A type that holds keys prints none.
func TestSharedKeysDoNotPrint(t *testing.T) {
	k := freshKeys(time.Now())
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if text := fmt.Sprintf(verb, k); strings.Contains(text, fmt.Sprintf("%x", k.current[:4])) || !strings.Contains(text, "redacted") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// TestOldBusKeysEnd: a shared key that has gone out of use opens nothing any
// more, also for a sender that was heard under it.
func TestOldBusKeysEnd(t *testing.T) {
	s, now := memory.New(), time.Now()
	keys := &keyring{store: s}
	here, there := newSealer(keys, "here-00"), newSealer(keys, "there-00")
	say := func() []byte {
		t.Helper()
		sealed, err := there.seal(t.Context(), "here-00", notice{kind: noticeBeat}, now)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	first, second := say(), say()
	if _, _, err := here.open(first); err != nil {
		t.Fatal(err)
	}
	for day, taken := range []bool{true, false} { // the one before is still accepted
		keys.mu.Lock()
		keys.keys = keys.keys.rotate(now.Add(time.Duration(day+1) * keyLife))
		keys.mu.Unlock()
		if _, _, err := here.open(second); (err == nil) != taken {
			t.Errorf("after %d changes: %v", day+1, err)
		}
	}
	if _, _, err := here.open(say()); err != nil {
		t.Errorf("under the key in use: %v", err)
	}
}
