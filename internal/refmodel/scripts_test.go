package refmodel_test

import (
	"slices"

	"github.com/posthorn/posthorn/internal/refmodel"
)

const (
	alice byte = iota
	bob
)

// script is a schedule that somebody thought of.
type script struct {
	name   string
	policy byte
	ops    []byte
}

// suites are the choices of suites that a script is run with: those that talk,
// for the short ones also those that cannot, and one for the very long ones.
func (s script) suites() []byte {
	switch s.name {
	case "full-chain", "long-chains":
		return []byte{1}
	case "turns", "bundles", "control":
		return []byte{0, 1, 2, 3, 4}
	}
	return []byte{0, 1, 2}
}

func do(ops ...[]byte) []byte { return slices.Concat(ops...) }

func op(what int, xy ...byte) []byte { return append([]byte{byte(what)}, append(xy, 0, 0)[:2]...) }

// every repeats an operation with each x below n, after a message to work on.
func every(n int, what func(x byte) []byte) (ops []byte) {
	for x := range n {
		ops = append(ops, what(byte(x))...)
	}
	return ops
}

// step indices of opWait.
const (
	waitMillisecond = 0
	waitHour        = 4
	waitDay         = 6
	waitAlmostWeek  = 7
	waitFortnight   = 9
	waitMonth       = 11
)

func deliverNewest() []byte { return op(opDeliver, 0, 1) }

// crowd is a chain of many messages of Alice's of which the first and the last
// arrive.
func crowd(a, b byte) []byte {
	return do(op(opSend, alice, 3), deliverNewest(), op(opBurst, alice, a), op(opBurst, alice, b), deliverNewest(),
		op(opSend, bob, 3), deliverNewest())
}

// scripts reach what random schedules rarely do: limits, and each way to break
// a rule in each role.
var scripts = []script{
	{"turns", 0, do(op(opTalk, 130))},
	{"rekey-often", 1, do(op(opTalk, 40), op(opBurst, alice, 5), op(opFlush), op(opTalk, 7))},
	{"rekey-always", 2, do(op(opTalk, 20), op(opWait, waitHour), op(opTalk, 5))},
	{"out-of-order", 1, do(op(opTalk, 3), op(opBurst, alice, 20), op(opBurst, bob, 9), op(opFlush, 1), op(opTalk, 4),
		op(opBurst, bob, 17), op(opDeliver, 5), op(opDeliver, 2), op(opTalk, 2), op(opFlush, 1), op(opTalk, 3))},
	{"tail-of-a-chain", 1, do(op(opTalk, 3), op(opBurst, alice, 5), op(opSend, bob, 2), deliverNewest(), op(opSend, alice, 2),
		deliverNewest(), op(opFlush), op(opTalk, 3))},
	{"prepared", 1, do(op(opTalk, 2), every(9, func(x byte) []byte {
		return do(op(opPrepare, alice), op(opPrepare, bob), op(opBurst, x&1, 2), op(opPrepare, 1-(x&1)), op(opFlush),
			op(opPrepare, 1-(x&1)), op(opRestart, x>>2&1, 1))
	}), op(opTalk, 3))},
	{"replayed-starts", 0, do(every(5, func(byte) []byte { return do(op(opStart, alice), op(opFlush)) }),
		every(5, func(y byte) []byte { return op(opReplay, 0, y) }))},
	{"objects-late", 1, do(op(opBurst, alice, 9), op(opDeliver, 2), op(opDeliver, 5), op(opFlush), op(opTalk, 3),
		op(opBurst, bob, 9), op(opDrop), op(opDrop), op(opDeliver, 2), op(opFlush, 1), op(opTalk, 3))},
	{"hard-limit", 0, do(op(opStart, alice), op(opFlush), op(opWait, waitAlmostWeek), op(opSend, alice, 2), op(opFlush),
		op(opWait, waitMillisecond), op(opSend, alice, 2), op(opFlush), op(opTalk, 3))},
	{"expiry", 0, do(op(opTalk, 3), op(opBurst, alice, 9), deliverNewest(), op(opTalk, 0), op(opWait, waitFortnight),
		op(opDeliver), op(opDeliver), op(opWait, waitMillisecond), op(opDeliver), op(opFlush))},
	{"stale-start", 0, do(op(opBurst, alice, 3), op(opDrop), op(opWait, waitMonth), op(opDeliver), op(opTalk, 0),
		op(opStart, bob), op(opWait, waitMonth), op(opWait, waitMillisecond), op(opFlush))},
	{"many-starts", 0, do(every(22, func(byte) []byte { return do(op(opStart, alice), op(opFlush)) }),
		op(opWait, waitDay), op(opStart, alice), op(opFlush), op(opWait, waitMillisecond), op(opStart, alice), op(opFlush),
		op(opTalk, 4))},
	{"crossing", 1, do(op(opStart, alice), op(opStart, bob), op(opFlush), op(opTalk, 6), op(opStart, bob), op(opStart, alice),
		op(opBurst, alice, 3), op(opBurst, bob, 3), op(opFlush, 1), op(opTalk, 6))},
	{"bundles", 0, do(op(opWait, waitDay), op(opRotate, bob), op(opStart, alice), op(opStart, alice|2), op(opStart, alice|16), op(opStart, alice|2|16),
		op(opErase, bob), op(opFlush), op(opWait, waitMonth), op(opStart, alice), op(opWait, waitDay), op(opStart, alice),
		op(opRotate, bob), every(34, func(y byte) []byte { return op(opBundle, 0, y) }),
		every(18, func(y byte) []byte { return op(opBundle, 6, 64+y) }), every(78, func(x byte) []byte { return op(opBundle, x/4, x*67) }))},
	{"restarts", 0, do(op(opTalk, 5), every(7, func(y byte) []byte {
		return do(op(opRestart, alice, y), op(opRestart, bob, y), op(opBurst, alice, 3), op(opFlush, 1), op(opTalk, 4))
	}))},
	{"replays", 1, do(op(opTalk, 9), op(opBurst, alice, 3), deliverNewest(), op(opFlush),
		every(14, func(y byte) []byte { return op(opReplay, 0, y) }), op(opTalk, 2))},
	{"flips", 1, do(op(opTalk, 5), op(opSend, bob, 2), every(200, func(x byte) []byte { return op(opFlip, x/16, x*37) }),
		op(opFlush), op(opTalk, 2))},
	{"flips-of-a-start", 0, do(op(opSend, alice, 2), every(200, func(x byte) []byte { return op(opFlip, x, x*37) }), op(opFlush))},
	{"cuts", 1, do(op(opTalk, 2), op(opSend, alice, 2), every(64, func(x byte) []byte { return op(opCut, x*3, 0) }), op(opFlush))},
	{"forged-starts", 0, do(op(opSend, alice, 2), forgeAll(), op(opFlush), op(opTalk, 2))},
	{"forged-epochs", 1, do(op(opTalk, 7), op(opSend, bob, 2), forgeAll(), op(opFlush), forgeAll(), op(opTalk, 2))},
	{"forged-chains", 1, do(op(opTalk, 6), op(opBurst, alice, 4), op(opDeliver), op(opDeliver, 2), forgeAll(), op(opFlush), op(opTalk, 2))},
	{"betrayed-starts", 0, do(op(opSend, alice, 2), betrayAll(alice), op(opTalk, 2))},
	{"betrayed-epochs", 1, do(op(opTalk, 7), betrayAll(bob), op(opTalk, 3))},
	{"betrayed-answers", 1, do(op(opTalk, 6), betrayAll(alice), op(opTalk, 3))},
	{"betrayed-chains", 1, do(op(opTalk, 7), op(opBurst, bob, 3), op(opDeliver), op(opDeliver, 1), betrayAll(bob), op(opTalk, 3))},
	{"control", 0, do(op(opTalk, 3), every(4, func(x byte) []byte { return op(opControl, x<<1, 0) }),
		every(100, func(y byte) []byte { return op(opControl, 2, y) }), op(opControl, 2, 128), op(opControl, 4, 129))},
	{"lengths", 1, do(op(opTalk, 2), every(80, func(y byte) []byte { return do(op(opLength, y&1, y), op(opFlush)) }))},
	{"full-chain", 0, do(op(opTalk, 2), op(opBurst, alice, 250), op(opBurst, alice, 250), op(opBurst, alice, 2),
		op(opFlush), op(opTalk, 3))},
	{"long-chains", 0, do(op(opTalk, 2), crowd(250, 248), crowd(250, 248), crowd(10, 50), op(opFlush), op(opTalk, 2))},
}

// forgeAll changes the first letter in each way, and makes different fields fit
// again.
func forgeAll() []byte {
	return every(len(changes)+1, func(x byte) []byte {
		return do(op(opForge, x, 0), op(opForge, x, 4<<5), op(opForge, x, 6<<5), op(opForge, x, 7<<5))
	})
}

// betrayAll lets a sender that breaks the rules try each way to, against a
// receiver that forgets about it, and then all of them in a row.
func betrayAll(who byte) []byte {
	const forgotten, advertise, objects, fit = 128, 2, 4, 7 << 3
	return do(
		every(len(frames), func(x byte) []byte { return op(opFrame, x, who|forgotten) }),
		every(len(changes), func(x byte) []byte {
			return do(op(opDeviate, x, who|forgotten), op(opDeviate, x, who|forgotten|fit),
				op(opDeviate, x, who|forgotten|fit|advertise|objects), op(opDeviate, x, who|forgotten|4<<3|objects))
		}),
		every(len(refmodel.Flaws()), func(x byte) []byte {
			return do(op(opFlaw, x, who|forgotten), op(opFlaw, x, who|forgotten|advertise|objects))
		}),
		every(len(changes), func(x byte) []byte { return op(opDeviate, x, who|fit) }),
	)
}

// schedule is the script for one choice of suites.
func (s script) schedule(suites byte) []byte { return append([]byte{suites, s.policy}, s.ops...) }
