package storetest

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// calls makes a history in which the calls follow one another.
func calls(pairs ...any) (h []porcupine.Operation) {
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, porcupine.Operation{ClientId: i % 3, Input: pairs[i], Output: pairs[i+1], Call: int64(2 * i), Return: int64(2*i + 1)})
	}
	return h
}

// TestModelsRefuseWrongHistories: each way to break the promise is seen.
func TestModelsRefuseWrongHistories(t *testing.T) {
	set := onKey{key: "a", cas: true, val: 5}
	get, other := onKey{key: "a"}, onKey{key: "b"}
	for name, c := range map[string]struct {
		model porcupine.Model
		calls []porcupine.Operation
		right bool
	}{
		"set and read":     {register, calls(set, atKey{ver: 1, done: true}, get, atKey{ver: 1, val: 5}, other, atKey{}), true},
		"refused":          {register, calls(set, atKey{ver: 1, done: true}, set, atKey{ver: 1}), true},
		"stale read":       {register, calls(set, atKey{ver: 1, done: true}, get, atKey{}), false},
		"set twice":        {register, calls(set, atKey{ver: 1, done: true}, set, atKey{ver: 1, done: true}), false},
		"other value":      {register, calls(set, atKey{ver: 1, done: true}, get, atKey{ver: 1, val: 6}), false},
		"refused for none": {register, calls(set, atKey{}), false},
		"oldest first":     {queue, calls(onPool(1), fromPool(0), onPool(2), fromPool(0), onPool(0), fromPool(1), onPool(0), fromPool(2), onPool(0), fromPool(0)), true},
		"newest first":     {queue, calls(onPool(1), fromPool(0), onPool(2), fromPool(0), onPool(0), fromPool(2)), false},
		"taken twice":      {queue, calls(onPool(1), fromPool(0), onPool(0), fromPool(1), onPool(0), fromPool(1)), false},
		"lost":             {queue, calls(onPool(1), fromPool(0), onPool(0), fromPool(0)), false},
	} {
		if got := porcupine.CheckOperations(c.model, c.calls); got != c.right {
			t.Errorf("%s: judged %v", name, got)
		}
	}
}
