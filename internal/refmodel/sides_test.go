package refmodel_test

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/refmodel"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// outcome is what an operation gave: bytes, or the id of the rule that refused.
type outcome struct {
	refused string
	bytes   string
}

// order is one message to seal, with all that could matter for it.
type order struct {
	now              uint64
	bundle           []byte // the peer's, should a session have to start
	fresh            bool   // start a session whatever there is
	seenNotBefore    uint64
	text, associated []byte
	force            pq3.Force
}

// side is one implementation of one end with its whole memory. Both sides of an
// end draw from equal entropy, a new stream for each operation: what a refused
// operation drew is lost, and SPEC does not say how much that is.
type side interface {
	// draw gives the entropy of the next operation, drawn what comes next in it.
	draw(seed string)
	drawn() string
	rotate(now uint64) (bundle []byte)
	eraseOldestPrekey()
	addStarts(count int, bundle []byte, at uint64) // of a stranger
	send(order) outcome
	insist(now uint64) outcome // seals on the session there is, whatever its state
	receive(now uint64, wire []byte) outcome
	control(now uint64, about []byte, kind byte) outcome
	openControl(now uint64, wire []byte) outcome
	restart(policy refmodel.Policy) outcome
	prepare()
	mark() (back func()) // back forgets all that was opened since
	observe(now uint64) string
}

// party is a device that a seed determines, and the suites that it lists.
type party struct {
	seed   string
	suites []account.Suite
}

// identities keeps what pq3test made: keys take longer to make than to use.
var identities sync.Map

func (p party) identity() *pq3.Identity {
	name := fmt.Sprint(p)
	made, known := identities.Load(name)
	if !known {
		made, _ = identities.LoadOrStore(name, pq3test.NewIdentity(p.seed, p.suites...))
	}
	return made.(*pq3.Identity)
}

func instant(ms uint64) time.Time { return time.UnixMilli(int64(ms)) }

// refusal turns an error of either implementation into an outcome.
func refusal(err error) outcome {
	var model refmodel.Refusal
	var real *pq3.Error
	switch {
	case errors.As(err, &model):
		return outcome{refused: string(model)}
	case errors.As(err, &real):
		return outcome{refused: real.Check}
	}
	panic(fmt.Sprintf("an error that is no refusal: %v", err))
}

// nextBytes shows where an entropy stream is: implementations that have drawn
// differently show it.
func nextBytes(ent *pq3test.Entropy) string {
	var next [4]byte
	ent.Read(next[:])
	return fmt.Sprintf("next entropy %x", next)
}

// realSide is package pq3.
type realSide struct {
	*pq3.Identity
	peer     account.Party
	policy   pq3.Policy
	ent      *pq3test.Entropy
	sessions pq3.Sessions
	prekeys  pq3test.PrekeyMap
	order    []account.BundleHash
	replays  *pq3test.ReplayLog
}

func newRealSide(own, peer party, policy refmodel.Policy) *realSide {
	return &realSide{
		Identity: own.identity(), peer: peer.identity().Party(),
		policy: realPolicy(policy), prekeys: pq3test.PrekeyMap{}, replays: &pq3test.ReplayLog{},
	}
}

func realPolicy(p refmodel.Policy) pq3.Policy {
	return pq3.Policy{
		EveryMessages: int(p.EveryMessages),
		Every:         time.Duration(p.Every) * time.Millisecond, Hard: time.Duration(p.Hard) * time.Millisecond,
	}
}

func (r *realSide) draw(seed string) { r.ent = pq3test.NewEntropy(seed) }
func (r *realSide) drawn() string    { return nextBytes(r.ent) }

func (r *realSide) rotate(now uint64) []byte {
	suites := r.Party().Device.Suites
	prekey, err := pq3.NewPrekey(r.Identity, suites[len(suites)-1], instant(now), instant(now).Add(pq3.BundleLife), r.ent)
	if err != nil {
		panic(err)
	}
	r.prekeys[prekey.Hash()] = prekey
	r.order = append(r.order, prekey.Hash())
	return prekey.Bundle().Marshal()
}

func (r *realSide) eraseOldestPrekey() {
	if len(r.order) > 1 {
		delete(r.prekeys, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *realSide) addStarts(count int, bundle []byte, at uint64) {
	b, err := account.ParseBundle(bundle)
	if err != nil {
		panic(err)
	}
	for range count {
		r.replays.Add(&pq3.Accepted{Bundle: b.Hash()}, account.DeviceID{}, instant(at))
	}
}

func (r *realSide) send(o order) outcome {
	s := r.sessions.Sending()
	if o.fresh || s == nil || s.CanSend(instant(o.now)) != nil {
		bundle, err := account.ParseBundle(o.bundle)
		if err != nil {
			return refusal(err)
		}
		memory := pq3.InitiateOptions{Policy: r.policy, After: r.sessions.LastStart(), SeenNotBefore: o.seenNotBefore}
		if s, err = pq3.Initiate(r.Identity, r.peer, bundle, memory, instant(o.now), r.ent); err != nil {
			return refusal(err)
		}
	}
	next, wire, err := s.SealWith(r.ent, instant(o.now), o.text, o.associated, o.force)
	if err != nil {
		return refusal(err)
	}
	r.sessions, _ = r.sessions.With(next)
	return outcome{bytes: string(wire)}
}

func (r *realSide) insist(now uint64) outcome {
	next, wire, err := r.sessions.Sending().Seal(r.ent, instant(now), nil, nil)
	if err != nil {
		return refusal(err)
	}
	r.sessions, _ = r.sessions.With(next)
	return outcome{bytes: string(wire)}
}

func (r *realSide) receive(now uint64, wire []byte) outcome {
	m, err := pq3.ParseMessage(wire)
	if err != nil {
		return refusal(err)
	}
	if s := r.sessions.Find(m.Session()); s != nil {
		next, plaintext, err := s.Open(instant(now), m)
		if err != nil {
			return refusal(err)
		}
		r.sessions, _ = r.sessions.With(next)
		return outcome{bytes: string(plaintext)}
	}
	options := pq3.AcceptOptions{Policy: r.policy, Prekeys: r.prekeys, Replays: r.replays}
	accepted, err := pq3.Accept(r.Identity, r.peer, m, options, instant(now))
	if err != nil {
		return refusal(err)
	}
	r.sessions, _ = r.sessions.With(accepted.Session)
	r.replays.Add(accepted, r.peer.Device.ID, instant(now))
	return outcome{bytes: string(accepted.Plaintext)}
}

func (r *realSide) control(now uint64, about []byte, kind byte) outcome {
	m, err := pq3.ParseMessage(about)
	if err != nil {
		return refusal(err)
	}
	note := pq3.ControlAbout(m, pq3.ControlType(kind), instant(now), r.ent)
	wire, err := pq3.SealControl(r.Identity, r.peer, note, r.ent)
	if err != nil {
		return refusal(err)
	}
	return outcome{bytes: string(wire)}
}

func (r *realSide) openControl(now uint64, wire []byte) outcome {
	c, err := pq3.OpenControl(r.Identity, r.peer, wire, instant(now))
	if err != nil {
		return refusal(err)
	}
	return outcome{bytes: fmt.Sprintf("%d %x %d %d %x %d %x", c.Type, c.Session[:], c.Epoch, c.Index, c.Message, c.Time, c.Nonce)}
}

// restart reads every session back from its stored form.
func (r *realSide) restart(policy refmodel.Policy) outcome {
	restored := make(pq3.Sessions, len(r.sessions))
	for i, s := range r.sessions {
		next, err := pq3.RestoreSession(r.Identity, r.peer, realPolicy(policy), s.MarshalState(), s.MarshalSkipped())
		if err != nil {
			return refusal(err)
		}
		restored[i] = next
	}
	r.policy, r.sessions = realPolicy(policy), restored
	return outcome{}
}

func (r *realSide) prepare() {
	s := r.sessions.Sending()
	if s == nil {
		return
	}
	next, err := s.Prepare(r.ent)
	if err != nil {
		panic(err)
	}
	r.sessions, _ = r.sessions.With(next)
}

func (r *realSide) mark() func() {
	sessions, replays := r.sessions, *r.replays
	return func() { r.sessions, *r.replays = sessions, replays }
}

func (r *realSide) observe(now uint64) (all string) {
	for _, s := range r.sessions {
		can, last, status := outcome{}, uint64(0), s.Status(instant(now))
		if err := s.CanSend(instant(now)); err != nil {
			can = refusal(err)
		}
		if !status.LastRekey.IsZero() {
			last = uint64(status.LastRekey.UnixMilli())
		}
		all += fmt.Sprintf("%s start %d epoch %d sending %t owes %t awaits %t can %q since %d rekeys %d last %d due %t\n",
			s.ID(), s.StartTime(), s.Epoch(), s.Sending(), s.OwesAnswer(), s.AwaitsAnswer(), can.refused,
			status.MessagesSinceRekey, status.KEMRekeys, last, s.RekeyDue(instant(now)))
	}
	return all
}

// modelSide is this package.
type modelSide struct {
	own      *refmodel.Own
	peer     *refmodel.Device
	policy   refmodel.Policy
	ent      *pq3test.Entropy
	sessions refmodel.Sessions
	prekeys  map[string]*refmodel.Prekey
	order    []string
	starts   []refmodel.Start
}

// newOwn makes the device that pq3test.NewIdentity makes from the same seed.
func newOwn(p party) *refmodel.Own {
	party := p.identity().Party()
	var numbers []byte
	for _, s := range party.Device.Suites {
		numbers = append(numbers, byte(s))
	}
	return refmodel.NewOwn(party.Account[:], party.Device.ID[:], numbers, pq3test.NewEntropy("keys of "+p.seed).Read)
}

func newModelSide(own, peer party, policy refmodel.Policy) *modelSide {
	return &modelSide{
		own: newOwn(own), peer: &newOwn(peer).Device, policy: policy,
		prekeys: map[string]*refmodel.Prekey{},
	}
}

func (m *modelSide) draw(seed string) { m.ent = pq3test.NewEntropy(seed) }
func (m *modelSide) drawn() string    { return nextBytes(m.ent) }

func (m *modelSide) rotate(now uint64) []byte {
	suites := m.own.Suites
	prekey := refmodel.NewPrekey(m.own, suites[len(suites)-1], now, now+30*24*3600*1000, m.ent.Read)
	hash := string(prekey.Bundle.Hash())
	m.prekeys[hash] = prekey
	m.order = append(m.order, hash)
	return prekey.Bundle.Marshal()
}

func (m *modelSide) eraseOldestPrekey() {
	if len(m.order) > 1 {
		delete(m.prekeys, m.order[0])
		m.order = m.order[1:]
	}
}

func (m *modelSide) addStarts(count int, bundle []byte, at uint64) {
	b, err := refmodel.ParseBundle(bundle)
	if err != nil {
		panic(err)
	}
	for range count {
		m.starts = append(m.starts, refmodel.Start{Bundle: b.Hash(), Device: make([]byte, 32), At: at})
	}
}

func (m *modelSide) send(o order) outcome {
	s, err := m.sessionFor(o)
	if err != nil {
		return refusal(err)
	}
	wish := refmodel.Wish{Advertise: o.force&pq3.ForceAdvertise != 0, Objects: o.force&pq3.ForceObjects != 0}
	next, wire, err := s.Seal(m.ent.Read, o.now, o.text, o.associated, wish)
	if err != nil {
		return refusal(err)
	}
	m.sessions = m.sessions.With(next)
	return outcome{bytes: string(wire)}
}

func (m *modelSide) sessionFor(o order) (*refmodel.Session, error) {
	if !o.fresh && len(m.sessions) > 0 && m.sessions[0].CanSend(o.now) == nil {
		return m.sessions[0], nil
	}
	bundle, err := refmodel.ParseBundle(o.bundle)
	if err != nil {
		return nil, err
	}
	memory := refmodel.Memory{SeenNotBefore: o.seenNotBefore}
	for _, s := range m.sessions {
		memory.LastStart = max(memory.LastStart, s.StartTime)
	}
	return refmodel.Initiate(m.own, m.peer, bundle, m.policy, memory, o.now, m.ent.Read)
}

func (m *modelSide) insist(now uint64) outcome {
	next, wire, err := m.sessions[0].Seal(m.ent.Read, now, nil, nil, refmodel.Wish{})
	if err != nil {
		return refusal(err)
	}
	m.sessions = m.sessions.With(next)
	return outcome{bytes: string(wire)}
}

func (m *modelSide) receive(now uint64, wire []byte) outcome {
	message, err := refmodel.Parse(wire)
	if err != nil {
		return refusal(err)
	}
	if s := m.sessions.Find(message.SID); s != nil {
		next, plaintext, err := s.Open(now, message)
		if err != nil {
			return refusal(err)
		}
		m.sessions = m.sessions.With(next)
		return outcome{bytes: string(plaintext)}
	}
	s, plaintext, start, err := refmodel.Accept(m.own, m.peer, message, m.policy, m.prekeys, m.starts, now)
	if err != nil {
		return refusal(err)
	}
	m.sessions = m.sessions.With(s)
	m.starts = append(m.starts, start)
	return outcome{bytes: string(plaintext)}
}

func (m *modelSide) control(now uint64, about []byte, kind byte) outcome {
	message, err := refmodel.Parse(about)
	if err != nil {
		return refusal(err)
	}
	wire, err := refmodel.SealControl(m.own, m.peer, kind, message, now, m.ent.Read)
	if err != nil {
		return refusal(err)
	}
	return outcome{bytes: string(wire)}
}

func (m *modelSide) openControl(now uint64, wire []byte) outcome {
	c, err := refmodel.OpenControl(m.own, m.peer, wire, now)
	if err != nil {
		return refusal(err)
	}
	return outcome{bytes: fmt.Sprintf("%d %x %d %d %x %d %x", c.Type, c.SID, c.Epoch, c.N, c.Hash, c.Time, c.Nonce)}
}

func (m *modelSide) restart(policy refmodel.Policy) outcome {
	restored := make(refmodel.Sessions, len(m.sessions))
	for i, s := range m.sessions {
		next, err := s.Under(policy)
		if err != nil {
			return refusal(err)
		}
		restored[i] = next
	}
	m.policy, m.sessions = policy, restored
	return outcome{}
}

func (m *modelSide) prepare() {
	if len(m.sessions) > 0 {
		m.sessions = m.sessions.With(m.sessions[0].Prepare(m.ent.Read))
	}
}

func (m *modelSide) mark() func() {
	sessions, starts := m.sessions, m.starts
	return func() { m.sessions, m.starts = sessions, starts }
}

func (m *modelSide) observe(now uint64) (all string) {
	for _, s := range m.sessions {
		can := outcome{}
		if err := s.CanSend(now); err != nil {
			can = refusal(err)
		}
		all += fmt.Sprintf("%x start %d epoch %d sending %t owes %t awaits %t can %q since %d rekeys %d last %d due %t\n",
			s.SID, s.StartTime, s.Epoch, s.InRoleS(), s.OwesAnswer(), s.AwaitsAnswer(), can.refused,
			s.Since, s.Rekeys, s.LastRekey, s.RekeyDue(now))
	}
	return all
}
