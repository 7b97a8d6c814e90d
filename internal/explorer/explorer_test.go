package explorer

import (
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
)

const day = 24 * time.Hour

func TestSmoke(t *testing.T) {
	for _, s := range []Scene{
		{Name: "leaks", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{2, 2}, Leaks: 1, Kinds: LeakAll, Quantum: true},
		{Name: "leaks2", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{3, 2}, Leaks: 2, Kinds: LeakAll &^ LeakMessageKey, Quantum: true},
		{Name: "clock", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{3, 2}, Lost: 1, Renewed: 1, Clock: []time.Duration{25 * time.Hour, 7 * day, 15 * day}},
		{Name: "forge", Suite: account.PQ3, Devices: [2]int{1, 1}, Sends: [2]int{2, 2}, Leaks: 2, Kinds: LeakIdentity, Quantum: true, Forge: true},
		{Name: "forgeA", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{2, 2}, Leaks: 2, Kinds: LeakIdentity, Quantum: true, Forge: true},
		{Name: "two", Suite: account.PQ3A, Devices: [2]int{1, 2}, Sends: [2]int{1, 1}, Lost: 1, Force: true},
		{Name: "twotwo", Suite: account.PQ3A, Devices: [2]int{2, 2}, Sends: [2]int{1, 1}, Lost: 1, Force: true},
	} {
		r := Explore(s, 40000, 2, func(r Report) { t.Log(r.String()) })
		t.Log(r.String())
		if r.Broken != nil {
			t.Error(r.Broken)
		}
	}
}
