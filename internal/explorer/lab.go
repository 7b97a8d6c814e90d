package explorer

import (
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// Scene bounds what may happen. Within its bounds everything is tried in every
// order.
type Scene struct {
	Name    string
	Suite   account.Suite
	Devices [2]int          // of each person, 1 or 2
	Sends   [2]int          // texts of each person; each goes to all devices of the other
	Force   bool            // a text that opens an epoch may also advertise ahead of the policy
	Lost    int             // letters dropped, or stored and not sent before a crash
	Renewed int             // new bundles of each device of the second person
	Clock   []time.Duration // steps of time, in order
	Leaks   int             // single keys or whole states
	Kinds   LeakKinds       // which ones
	Quantum bool            // a quantum computer may appear
	Forge   bool            // with a leaked identity half: one forged bundle, one forged start
	// Misdirect hands letters to devices that they are not for.
	Misdirect bool
}

// LeakKinds are the kinds of leak that a scene tries, as a mask.
type LeakKinds uint16

// The kinds of leak.
const (
	LeakMessageKey LeakKinds = 1 << iota
	LeakChainKey
	LeakRootKey
	LeakRatchetKey
	LeakKEMSeed
	LeakPrekeyECDH
	LeakPrekeyKEM
	LeakIdentity
	LeakState

	LeakSessionKeys = LeakMessageKey | LeakChainKey | LeakRootKey | LeakRatchetKey | LeakKEMSeed
	LeakPrekeys     = LeakPrekeyECDH | LeakPrekeyKEM
	LeakAll         = LeakSessionKeys | LeakPrekeys | LeakIdentity | LeakState
)

// fault is a mistake planted around the real code or in a judge, to see that
// it is found.
type fault uint8

const (
	noFault fault = iota
	noReplayCache
	sendsBeforeStoring
	showsBeforeStoring
	keepsUsedKeys
	skipsKEMAnswer
	dropsSessionOnRefusal
	neverRepairs
	noMessageKeyClause
	noChainKeyClause
	noIdentityClause
	noECDHKeyClause
	noQuantumClause
	noKEMKeyClause
	noRootKeyClause
	expectsTagOfPQ3
	forgetsQuantumRule
	takesRootForChain
)

// lab is one exploration: the scene, the fault, and everything that states
// share.
type lab struct {
	Scene
	fault  fault
	cast   *cast
	terms  terms
	epochs epochs
	halves halves
	calls  calls
	offers offers
	wire   letters
	able   *term // the quantum computer
}

func newLab(s Scene, f fault) *lab {
	l := &lab{Scene: s, fault: f, cast: newCast(s.Suite)}
	l.terms.byValue = map[string]*term{}
	l.epochs.byKey = map[digest]*epoch{}
	l.halves.byKey = map[digest]*half{}
	l.calls.byInput = map[digest]*outcome{}
	l.offers.made = map[offerName]*offer{}
	l.wire.byKey = map[digest]*letter{}
	l.able = l.terms.of(quantumComputer, "a quantum computer", nil)
	return l
}

// policy rekeys soon, so that small scenes see several rekeys.
func (l *lab) policy() pq3.Policy { return pq3.Policy{EveryMessages: 3} }

// calls remembers the outcome of each real call.
type calls struct {
	mu      sync.Mutex
	byInput map[digest]*outcome
}

// once makes a call, or returns what it gave before.
func (l *lab) once(call func() *outcome, input ...[]byte) *outcome {
	id := digestOf(input...)
	l.calls.mu.Lock()
	known, ok := l.calls.byInput[id]
	l.calls.mu.Unlock()
	if ok {
		return known
	}
	made := call()
	l.calls.mu.Lock()
	defer l.calls.mu.Unlock()
	if known, ok := l.calls.byInput[id]; ok {
		return known // the other worker was first, with the same result
	}
	l.calls.byInput[id] = made
	return made
}

// letters are all messages that any state has seen.
type letters struct {
	mu    sync.Mutex
	byKey map[digest]*letter
}

func (l *lab) letter(m *letter) *letter {
	m.key = digestOf([]byte("letter"), m.wire)
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	if known, ok := l.wire.byKey[m.key]; ok {
		return known
	}
	l.wire.byKey[m.key] = m
	return m
}

// offerName tells bundles apart.
type offerName struct {
	owner, generation, halves int
	forged                    bool
	at                        moment
}

type offers struct {
	mu   sync.Mutex
	made map[offerName]*offer
}

func (l *lab) offer(n offerName) *offer {
	l.offers.mu.Lock()
	defer l.offers.mu.Unlock()
	if known, ok := l.offers.made[n]; ok {
		return known
	}
	made := l.newOffer(n)
	l.offers.made[n] = made
	return made
}
