package secret

import (
	"bytes"
	"testing"
)

func TestDoRunsTheFunctionOnce(t *testing.T) {
	var ran int
	var out Key
	Do(func() {
		ran++
		Do(func() { out = Key{1} })
	})
	if ran != 1 || out != (Key{1}) {
		t.Errorf("ran %d times, result %x", ran, out[:1])
	}
}

func TestDoPassesPanicsOn(t *testing.T) {
	defer func() {
		if got := recover(); got != "told" {
			t.Errorf("recovered %v", got)
		}
	}()
	Do(func() { panic("told") })
}

func TestWipeClearsEveryBuffer(t *testing.T) {
	a, b := []byte{1, 2}, []byte{3}
	Wipe(a, nil, b)
	if !bytes.Equal(append(a, b...), make([]byte, 3)) {
		t.Error("bytes are left")
	}
}

// In ordinary builds the hooks must cost nothing where every message passes.
func TestHooksAllocateNothing(t *testing.T) {
	var k Key
	spent := testing.AllocsPerRun(100, func() {
		Do(func() { k[0]++ })
		Created("message key", k[:])
	})
	if spent != 0 && !Erases {
		t.Errorf("%v allocations", spent)
	}
}

func BenchmarkDo(b *testing.B) {
	var k Key
	for b.Loop() {
		Do(func() { k[0]++ })
	}
}
