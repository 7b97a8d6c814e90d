package simulation

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level3"
)

const (
	receiptDelay = 2 * time.Second
	rotation     = 7 * 24 * time.Hour // as the product renews its prekeys
)

// stage is a conversation in progress.
type stage struct {
	run    *Run
	keys   *noting
	chance chance

	server  suite.Server
	parties []suite.Party
	now     time.Time
	waiting []int                   // frames whose opening must wait for another
	wrote   map[[2]string]time.Time // when one device last sent to another
	owes    map[[2]string]bool      // a receipt is on its way to be written
	fetched map[[2]string]time.Time // when one device last asked for another's bundle
	queue   queue
	serial  int
}

// open enrols the devices and plans the conversation.
func (s *stage) open() error {
	s.now, s.wrote, s.owes, s.fetched = start, map[[2]string]time.Time{}, map[[2]string]bool{}, map[[2]string]time.Time{}
	begun, err := suite.Begin(s.run.Suite, s.keys, s.now, s.run.Scenario.Devices...)
	if err != nil {
		return err
	}
	s.server, s.parties = begun.Server, begun.Parties
	for _, c := range begun.Crossings {
		s.crossed(c.From, c.To, c.Kind, c.Bytes)
	}
	end := s.plan()
	for at := start.Add(rotation); at.Before(end); at = at.Add(rotation) {
		s.schedule(at, s.rotate)
	}
	if every := s.run.Scenario.Keepalive; every > 0 {
		for at := start.Add(every / 4); at.Before(end); at = at.Add(every / 4) {
			s.schedule(at, s.keepAlive)
		}
	}
	return nil
}

// plan decides who writes when. A person whose devices are all away skips the
// turn.
func (s *stage) plan() (end time.Time) {
	sc, at := s.run.Scenario, start.Add(time.Minute)
	owners := sc.Owners()
	for turn, left := 0, sc.Messages; left > 0; turn++ {
		owner, n := owners[turn%2], sc.Turns[turn%2]
		device := s.deviceOf(owner, at)
		for k := s.chance.between(int64(n.Low), int64(n.High)); k > 0 && left > 0 && device != ""; k-- {
			s.schedule(at, func() error { return s.write(device) })
			at = at.Add(s.chance.span(sc.Gap))
			left--
		}
		at = at.Add(max(s.chance.span(sc.Pause), time.Second))
	}
	return at
}

// deviceOf chooses the device on which a person writes. A further device is
// used in one turn of eight.
func (s *stage) deviceOf(owner string, at time.Time) string {
	var there []string
	for _, d := range s.run.Scenario.Devices {
		if _, ok := s.run.Scenario.Reachable(d, at.Sub(start)); ok && scenario.Owner(d) == owner {
			there = append(there, d)
		}
	}
	pick := s.chance.between(0, 7)
	if len(there) == 0 {
		return ""
	}
	if pick == 7 {
		return there[len(there)-1]
	}
	return there[0]
}

// play lets everything happen in its order.
func (s *stage) play() error {
	for s.queue.Len() > 0 {
		next := heap.Pop(&s.queue).(event)
		s.now = next.at
		if err := next.do(); err != nil {
			return fmt.Errorf("after %s: %w", s.now.Sub(start), err)
		}
	}
	return nil
}

func (s *stage) close() {
	s.run.Unopened = len(s.waiting)
	s.run.Server.State = s.server.State()
}

func (s *stage) schedule(at time.Time, do func() error) {
	s.serial++
	heap.Push(&s.queue, event{at, s.serial, do})
}

// write seals one text of a person for every other device in the conversation,
// her own others included.
func (s *stage) write(device string) error {
	s.run.moments = append(s.run.moments, moment{s.now, slices.Clone(s.parties)})
	number := len(s.run.moments) - 1
	text := fmt.Appendf(nil, "%s, text %d of %s: see you at %s", device, number, s.run.Scenario.Name, s.now.Format(time.TimeOnly))
	for _, to := range s.run.Scenario.Devices {
		if to != device {
			if err := s.send(device, to, text, number); err != nil {
				return err
			}
		}
	}
	return nil
}

// send seals, records and forwards one frame.
func (s *stage) send(from, to string, text []byte, number int) error {
	wire, err := s.seal(from, to, text)
	if err != nil {
		return err
	}
	server, kept, delivered, err := s.server.Relay(s.keys, s.now, from, to, wire)
	if err != nil {
		return err
	}
	s.server = server
	s.wrote[[2]string{from, to}] = s.now
	r, frame := s.run, len(s.run.Sent)
	anatomy, err := r.Suite.Anatomy(wire)
	if err != nil {
		return err
	}
	r.Recording.Frames = append(r.Recording.Frames, harvest.Frame{Number: frame, At: s.now, From: from, To: to, Up: wire, Down: delivered})
	r.Server.Messages = append(r.Server.Messages, harvest.Kept{Number: frame, From: from, To: to, Bytes: kept})
	r.Sent = append(r.Sent, Sent{Frame: frame, At: s.now, From: from, To: to, Text: text, Message: number,
		Written: len(r.moments), Opened: -1, Anatomy: anatomy, Rekeys: s.rekeys(from, to)})
	s.forward(frame)
	return nil
}

func (s *stage) seal(from, to string, text []byte) ([]byte, error) {
	i := s.index(from)
	if err := s.refresh(i, to); err != nil {
		return nil, err
	}
	next, wire, err := s.parties[i].Seal(s.keys, s.now, to, text)
	if errors.Is(err, suite.ErrPrekey) || errors.Is(err, suite.ErrLimit) {
		if err := s.meet(i, to); err != nil {
			return nil, err
		}
		next, wire, err = s.parties[i].Seal(s.keys, s.now, to, text)
	}
	if err != nil {
		return nil, err
	}
	s.parties[i] = next
	return wire, nil
}

// refresh fetches the newest bundle of a peer once a day, so that a session
// which the healing contract makes a device start uses a fresh one. Only where
// the adapter over pq3 is played: the others start no second session, and would
// use up one-time prekeys.
func (s *stage) refresh(i int, peer string) error {
	pair := [2]string{s.run.Scenario.Devices[i], peer}
	if _, ours := s.run.Suite.(*level3.Level3); !ours || s.now.Sub(s.fetched[pair]) < 24*time.Hour {
		return nil
	}
	s.fetched[pair] = s.now
	return s.meet(i, peer)
}

// meet fetches what a device needs to begin anew with a peer.
func (s *stage) meet(i int, peer string) error {
	server, bundle, err := s.server.HandOut(peer)
	if err != nil {
		return err
	}
	party, err := s.parties[i].Meet(s.now, bundle)
	if err != nil {
		return err
	}
	s.server, s.parties[i] = server, party
	s.crossed(suite.ServerName, party.Name(), suite.Bundle, bundle)
	return nil
}

func (s *stage) crossed(from, to, kind string, bytes []byte) {
	s.run.Recording.Crossings = append(s.run.Recording.Crossings, harvest.Crossing{At: s.now, From: from, To: to, Kind: kind, Bytes: bytes})
}

func (s *stage) index(device string) int { return slices.Index(s.run.Scenario.Devices, device) }

func (s *stage) rekeys(a, b string) int {
	return max(s.parties[s.index(a)].Rekeys(b), s.parties[s.index(b)].Rekeys(a))
}

// forward lets the network do to a frame what it does.
func (s *stage) forward(frame int) {
	sc, n := s.run.Scenario, s.run.Scenario.Network
	lost, late := s.chance.percent(n.Loss), s.chance.percent(n.Reorder)
	delay := s.chance.span(n.Latency)
	if late {
		delay += s.chance.span(n.Late)
	}
	if lost {
		return
	}
	to := s.run.Sent[frame].To
	back, there := sc.Reachable(to, s.now.Add(delay).Sub(start))
	at := start.Add(back)
	if !there {
		at = at.Add(delay)
	}
	s.schedule(at, func() error { return s.deliver(frame) })
}

// deliver opens a frame, and whatever waited for it.
func (s *stage) deliver(frame int) error {
	opened, err := s.try(frame)
	if err != nil {
		return err
	}
	if !opened {
		s.waiting = append(s.waiting, frame)
		return nil
	}
	for again := true; again; {
		again = false
		for _, f := range slices.Clone(s.waiting) {
			if s.run.Sent[f].To != s.run.Sent[frame].To {
				continue
			}
			opened, err := s.try(f)
			if err != nil {
				return err
			}
			if opened {
				s.waiting = slices.DeleteFunc(s.waiting, func(w int) bool { return w == f })
				again = true
			}
		}
	}
	return nil
}

// try opens one frame. A frame that must wait is no error.
func (s *stage) try(frame int) (opened bool, err error) {
	sent := &s.run.Sent[frame]
	i := s.index(sent.To)
	next, text, err := s.parties[i].Open(s.now, sent.From, s.run.Recording.Frames[frame].Down)
	if errors.Is(err, suite.ErrWaiting) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("frame %d from %s to %s: %w", frame, sent.From, sent.To, err)
	}
	if string(text) != string(sent.Text) {
		return false, fmt.Errorf("frame %d came out changed", frame)
	}
	s.parties[i], sent.Opened = next, len(s.run.moments)
	s.receipt(sent)
	return true, nil
}

// receipt confirms a text of somebody else's, once for all that came in the
// meantime.
func (s *stage) receipt(sent *Sent) {
	pair := [2]string{sent.To, sent.From}
	sc := s.run.Scenario
	if !sc.Receipts || sent.Message < 0 || s.owes[pair] {
		return
	}
	s.owes[pair] = true
	s.schedule(s.now.Add(receiptDelay), func() error {
		s.owes[pair] = false
		if _, there := sc.Reachable(pair[0], s.now.Sub(start)); !there {
			return nil
		}
		return s.send(pair[0], pair[1], []byte("received"), -1)
	})
}

// rotate renews the prekeys of every device that is there.
func (s *stage) rotate() error {
	for i, device := range s.run.Scenario.Devices {
		if _, there := s.run.Scenario.Reachable(device, s.now.Sub(start)); !there {
			continue
		}
		party, record, err := s.parties[i].Publish(s.keys, s.now)
		if err != nil {
			return err
		}
		if s.server, err = s.server.Register(s.now, device, record); err != nil {
			return err
		}
		s.parties[i] = party
		s.crossed(device, suite.ServerName, suite.Record, record)
	}
	return nil
}

// keepAlive lets every device that is there, and has been quiet for too long
// towards a peer, send an empty message: the heartbeat of the product.
func (s *stage) keepAlive() error {
	sc := s.run.Scenario
	for _, from := range sc.Devices {
		_, there := sc.Reachable(from, s.now.Sub(start))
		for _, to := range sc.Devices {
			last, ever := s.wrote[[2]string{from, to}]
			if from == to || !there || ever && s.now.Sub(last) < sc.Keepalive {
				continue
			}
			if err := s.send(from, to, nil, -1); err != nil {
				return err
			}
		}
	}
	return nil
}

// event is something that will happen.
type event struct {
	at     time.Time
	serial int // among equal times, the order of planning
	do     func() error
}

// queue is a heap of events, the next one first.
type queue []event

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].serial < q[j].serial
	}
	return q[i].at.Before(q[j].at)
}
func (q *queue) Push(x any) { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
