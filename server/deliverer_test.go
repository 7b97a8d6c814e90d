package server

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/metrics"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// hearsay is one stream over a store, whose hub is told of envelopes late,
// twice, in any order or not at all.
type hearsay struct {
	*rapid.T
	service *mailboxService
	stream  *deliverer
	box     store.Box
	stored  []store.Envelope // by number, from 1
	got     uint64           // the last number that was sent to the device
	told    uint64           // the highest number that the hub was told of
}

func newHearsay(t *rapid.T) *hearsay {
	s := memory.New()
	h := &hearsay{T: t, box: store.Box{1}}
	if err := s.Create(t.Context(), h.box, store.Limits{}); err != nil {
		t.Fatal(err)
	}
	hub := newHub()
	h.service = &mailboxService{
		directory: newDirectory(s), store: s, hub: hub, limits: DefaultLimits(), ledger: newLedger(), metrics: metrics.New(), repairs: rate.NewLimiter(rate.Inf, 1),
		numbers: &numbering{store: s},
		cluster: &cluster{store: s, hub: hub, alone: true, id: "here"},
	}
	h.stream = newDeliverer(t.Context(), h.service, h.box, hub.listen(h.box, time.Now()))
	h.stream.attached = true
	h.stream.progress = h.service.ledger.begin(h.box, 0)
	h.stream.send, h.stream.connection = h.take, http.NewResponseController(httptest.NewRecorder())
	return h
}

// take is the device: what it gets is the very next envelope, as it is stored.
func (h *hearsay) take(r *posthornv1.ReceiveResponse) error {
	for _, d := range r.GetDeliveries() {
		h.got++
		if d.GetSeq() != h.got {
			h.Fatalf("number %d came where %d was due", d.GetSeq(), h.got)
		}
		want := h.stored[h.got-1]
		if string(d.GetPayload()) != string(want.Data[80:]) || string(d.GetId()) != string(want.ID[:]) {
			h.Fatalf("number %d has the content of another envelope", h.got)
		}
	}
	return nil
}

// append stores envelopes without telling anybody.
func (h *hearsay) append(n, size int) {
	var batch []store.Envelope
	for range n {
		e := store.Envelope{Box: h.box, At: time.Now(), Data: make([]byte, 80+size)}
		binary.BigEndian.PutUint64(e.ID[:], uint64(len(h.stored)+len(batch)+1))
		binary.BigEndian.PutUint64(e.Data[80:], uint64(len(h.stored)+len(batch)+1))
		e.Sender[0] = byte(len(h.stored) + len(batch))
		batch = append(batch, e)
	}
	got, err := h.service.store.Append(h.Context(), batch)
	if err != nil {
		h.Fatal(err)
	}
	for i, a := range got {
		if a.Err != nil || a.Seq != uint64(len(h.stored)+1) {
			h.Fatalf("stored as %+v", a)
		}
		h.stored = append(h.stored, batch[i])
	}
}

// tell pushes one stored envelope, with or without its content.
func (h *hearsay) tell(seq int, content bool) {
	e := h.stored[seq-1]
	m := store.Msg{Seq: uint64(seq), ID: e.ID, At: e.At}
	if content {
		m.Data = e.Data
	}
	h.service.hub.push(h.box, m)
	h.told = max(h.told, m.Seq)
	if n := h.stream.listener.news; n.size > queuedBytes || len(n.queue) > queuedEnvelopes {
		h.Fatalf("%d envelopes with %d bytes wait for one stream", len(n.queue), n.size)
	}
}

// deliver runs the stream until it rests.
func (h *hearsay) deliver() {
	for more := true; more; {
		var err error
		if more, err = h.stream.deliver(); err != nil {
			h.Fatal(err)
		}
	}
	if h.got < h.told {
		h.Fatalf("the stream rests at %d although it was told of %d", h.got, h.told)
	}
}

// TestDeliveryByHearsay: whatever is lost, doubled or late between nodes, a
// device gets every envelope once and in order; and after one repair it has
// them all.
func TestDeliveryByHearsay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHearsay(t)
		defer h.stream.repair.Stop()
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				h.append(rapid.IntRange(1, 9).Draw(t, "envelopes"), rapid.SampledFrom([]int{8, 8, 1000, 20_000}).Draw(t, "size"))
			},
			"append and tell": func(t *rapid.T) {
				h.append(1, 8)
				h.tell(len(h.stored), true)
			},
			"tell": func(t *rapid.T) {
				if len(h.stored) > 0 {
					back := rapid.IntRange(0, min(40, len(h.stored)-1)).Draw(t, "back")
					h.tell(len(h.stored)-back, rapid.IntRange(0, 9).Draw(t, "content") > 0)
				}
			},
			"flood": func(t *rapid.T) {
				h.append(queuedEnvelopes+5, 8)
				for i := range queuedEnvelopes + 5 {
					h.tell(len(h.stored)-i, true)
				}
			},
			"away": func(t *rapid.T) {
				h.append(batchEnvelopes+50, 8)
				h.tell(len(h.stored), true)
			},
			"alarm":   func(*rapid.T) { h.service.hub.alarm() },
			"deliver": func(*rapid.T) { h.deliver() },
			"ack": func(t *rapid.T) {
				if err := h.service.store.Ack(h.Context(), []store.BoxSeq{{Box: h.box, Seq: h.got}}); err != nil {
					t.Fatal(err)
				}
			},
		})
		h.deliver()
		if !h.stream.mayRepair() {
			t.Fatal("a repair has to wait although there is no other stream")
		}
		h.deliver()
		if int(h.got) != len(h.stored) {
			t.Fatalf("%d of %d envelopes came", h.got, len(h.stored))
		}
	})
}

// An envelope that is told of at once needs no read of the store.
func TestPushesNeedNoRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHearsay(t)
		defer h.stream.repair.Stop()
		h.append(1, 8)
		h.deliver() // the backlog
		h.append(20, 8)
		for _, i := range rapid.Permutation([]int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}).Draw(t, "order") {
			h.tell(i, true)
		}
		if err := h.service.store.Close(); err != nil {
			t.Fatal(err)
		}
		h.deliver()
		if h.got != 21 {
			t.Fatalf("%d of 21 came", h.got)
		}
	})
}

// A stream that nobody tells of anything asks less and less often, and the
// sooner the less the nodes hear of each other.
func TestRepairsBackOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHearsay(t)
		defer h.stream.repair.Stop()
		d, longest := h.stream, h.service.limits.Repair
		h.service.cluster.alone, h.service.cluster.members = false, newMembers(pace)
		d.calm()
		for want := longest / firstRepair; want < 2*longest; want *= 2 {
			if d.patience != min(want, longest) {
				t.Fatalf("patience %v, want %v", d.patience, min(want, longest))
			}
			d.mayRepair()
		}
		h.append(1, 8)
		h.deliver()
		if d.patience != longest/firstRepair {
			t.Errorf("patience %v after something came", d.patience)
		}
	})
}
