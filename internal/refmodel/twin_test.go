package refmodel_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthorn/posthorn/internal/refmodel"
)

var update = flag.Bool("update", false, "rewrite the fuzz seeds that come from the scripts")

var sideBySide = [2]int{both, both}

const unlimited = 1 << 30

// refusable are the rules that a script makes both implementations refuse by.
// Of the rest of SPEC §15.2 and of the rules for bundles, V-45 and V-57 have
// tests of their own; V-16 cannot be reached behind V-36, nor V-66 without
// breaking ML-KEM; V-61, V-65 and V-67 are about what the model does not store.
var refusable = []string{
	"V-11", "V-12", "V-13", "V-14", "V-15", "V-17", "V-30", "V-31", "V-32", "V-33", "V-34", "V-35", "V-36", "V-37",
	"V-38", "V-39", "V-40", "V-41", "V-42", "V-43", "V-44", "V-46", "V-47", "V-48", "V-49", "V-50", "V-51", "V-52",
	"V-53", "V-54", "V-55", "V-56", "V-58", "V-59", "V-60", "V-62", "V-63", "V-64", "V-68",
}

// TestScripts runs each script on both implementations, for each choice of
// suites, and wants every rule to have refused something on the way.
func TestScripts(t *testing.T) {
	t.Parallel()
	refused, operations := map[string]int{}, 0
	for _, s := range scripts {
		for _, suites := range s.suites() {
			w, err := play(s.schedule(suites), sideBySide, "", unlimited)
			if err != nil {
				t.Fatalf("%s, suites %d, operation %d: %v", s.name, suites, w.count, err)
			}
			for id, n := range w.refused {
				refused[id] += n
			}
			operations += w.count
		}
	}
	t.Logf("%d operations compared; refused: %v", operations, refused)
	for _, id := range refusable {
		if refused[id] == 0 {
			t.Errorf("no script breaks %s", id)
		}
		delete(refused, id)
	}
	if len(refused) > 0 {
		t.Errorf("refused without being listed: %v", refused)
	}
}

// TestCrossPlay lets one implementation talk with the other: everything that
// was sealed is read.
func TestCrossPlay(t *testing.T) {
	t.Parallel()
	honest := append([]byte{1}, do(
		op(opTalk, 60), op(opBurst, alice, 20), op(opBurst, bob, 20), op(opFlush, 1), op(opTalk, 9),
		op(opRestart, alice, 1), op(opRestart, bob, 1), op(opBurst, bob, 30), op(opFlush, 1), op(opStart, bob), op(opStart, alice),
		op(opFlush), op(opTalk, 12), op(opWait, waitAlmostWeek), op(opRotate, alice), op(opRotate, bob), op(opTalk, 12))...)
	for suites := range 3 {
		for _, at := range [][2]int{{realOnly, modelOnly}, {modelOnly, realOnly}, {realOnly, realOnly}, {modelOnly, modelOnly}} {
			w, err := play(append([]byte{byte(suites)}, honest...), at, "", unlimited)
			if err != nil {
				t.Fatal(err)
			}
			delete(w.refused, "V-56") // waited, and was opened later
			if w.opened != w.sealed || len(w.refused) > 0 {
				t.Errorf("suites %d, %v: %d sealed, %d opened, refused: %v", suites, at, w.sealed, w.opened, w.refused)
			}
		}
	}
}

// TestTwinUnderAnySchedule plays random schedules on both implementations.
func TestTwinUnderAnySchedule(t *testing.T) {
	t.Parallel()
	step := rapid.Custom(func(t *rapid.T) []byte {
		kind := rapid.SampledFrom([]int{opSend, opTalk, opFlush, opDeliver, -1}).Draw(t, "kind")
		if kind < 0 {
			kind = rapid.IntRange(0, opCount-1).Draw(t, "rare kind")
		}
		x, y := rapid.Byte().Draw(t, "x"), rapid.Byte().Draw(t, "y")
		switch kind {
		case opTalk:
			x %= 6
		case opBurst:
			y %= 20
		}
		return op(kind, x, y)
	})
	rapid.Check(t, func(t *rapid.T) {
		schedule := []byte{rapid.Byte().Draw(t, "suites"), rapid.Byte().Draw(t, "policy")}
		for _, s := range rapid.SliceOfN(step, 1, 40).Draw(t, "steps") {
			schedule = append(schedule, s...)
		}
		if _, err := play(schedule, sideBySide, "", unlimited); err != nil {
			t.Fatal(err)
		}
	})
}

// A schedule of the fuzzer stays short, so that it plays many.
const (
	fuzzedBytes    = 2 + 60*3
	fuzzedMessages = 100
)

// FuzzTwin plays schedules that the fuzzer writes. The seeds are the beginnings
// of the scripts.
func FuzzTwin(f *testing.F) {
	f.Fuzz(func(t *testing.T, schedule []byte) {
		if _, err := play(schedule[:min(len(schedule), fuzzedBytes)], sideBySide, "", fuzzedMessages); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFuzzSeedsGolden compares the committed seeds with the scripts; -update
// rewrites them.
func TestFuzzSeedsGolden(t *testing.T) {
	for i, s := range scripts {
		path := filepath.Join("testdata", "fuzz", "FuzzTwin", s.name)
		seed := s.schedule(byte(i % 3))
		made := fmt.Sprintf("go test fuzz v1\n[]byte(%s)\n", strconv.Quote(string(seed[:min(len(seed), fuzzedBytes)])))
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if committed, err := os.ReadFile(path); err != nil || string(committed) != made {
			t.Errorf("%s is not the script of that name (%v)", path, err)
		}
	}
}

// TestPlantedFlawsAreNoticed plants each deviation in the model and wants the
// scripts to tell the two implementations apart.
func TestPlantedFlawsAreNoticed(t *testing.T) {
	t.Parallel()
	for _, flaw := range refmodel.Flaws() {
		by, found := noticed(flaw)
		if !found {
			t.Errorf("nobody notices a model that %s", flaw)
			continue
		}
		t.Logf("a model that %s: %s", flaw, by)
	}
}

func noticed(flaw refmodel.Flaw) (by string, found bool) {
	const pq3a = 1
	for _, s := range scripts {
		if w, err := play(s.schedule(pq3a), sideBySide, flaw, unlimited); err != nil {
			return fmt.Sprintf("script %s, operation %d", s.name, w.count), true
		}
	}
	return "", false
}
