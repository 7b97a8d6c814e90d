package explorer

import (
	"time"

	"github.com/posthorn/posthorn/account"
)

const day = 24 * time.Hour

// Scenes are what the tests explore. Each puts one kind of trouble into the
// foreground, so that the search gets deep before it gets wide. Their bounds are
// small; within them everything happens in every order. The last one is large
// and takes the states that the others leave.
func Scenes() []Scene {
	return []Scene{
		{Name: "several leaks", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{2, 2},
			Leaks: 2, Kinds: LeakRootKey | LeakRatchetKey | LeakKEMSeed | LeakPrekeyKEM | LeakState, Quantum: true},
		{Name: "suite PQ3", Suite: account.PQ3, Devices: [2]int{1, 1}, Sends: [2]int{3, 2},
			Leaks: 1, Kinds: LeakAll, Quantum: true},
		{Name: "forgers, PQ3A", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{2, 1},
			Leaks: 3, Kinds: LeakIdentity, Quantum: true, Forge: true},
		{Name: "forgers, PQ3", Suite: account.PQ3, Devices: [2]int{1, 1}, Sends: [2]int{2, 1},
			Leaks: 2, Kinds: LeakIdentity | LeakPrekeyKEM, Quantum: true, Forge: true},
		{Name: "loss and crashes", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{3, 2}, Lost: 1, Force: true,
			Leaks: 1, Kinds: LeakState},
		{Name: "time and bundles", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{2, 1}, Renewed: 1,
			Clock: []time.Duration{8 * day, 15 * day}, Leaks: 1, Kinds: LeakState},
		{Name: "one and two devices", Suite: account.PQ3A, Devices: [2]int{1, 2}, Sends: [2]int{2, 1}, Lost: 1,
			Leaks: 1, Kinds: LeakState | LeakPrekeyKEM | LeakRootKey, Quantum: true, Misdirect: true},
		{Name: "two devices a side", Suite: account.PQ3A, Devices: [2]int{2, 2}, Sends: [2]int{2, 1},
			Leaks: 1, Kinds: LeakState | LeakPrekeyKEM | LeakRootKey, Quantum: true},
		{Name: "one leak of any kind", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{3, 3}, Force: true,
			Leaks: 1, Kinds: LeakAll, Quantum: true},
	}
}
