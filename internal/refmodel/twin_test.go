package refmodel_test

import (
	"testing"

	"github.com/posthorn/posthorn/internal/refmodel"
)

func TestTalk(t *testing.T) {
	for s := range byte(3) {
		w, err := play([]byte{s, 1, opTalk, 40, 0}, [2]int{both, both}, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Log(w.opened, w.refused, refmodel.Flaws()[0])
	}
}
