package level3sparse

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthorn/posthorn/suite/seeded"
)

// TestFieldIsOne: every element but zero has an inverse, so the modulus has no
// factors; and the laws that the code relies on hold.
func TestFieldIsOne(t *testing.T) {
	for a := range 1 << 16 {
		if got := element(a).times(element(a).inverse()); got != 1 && a != 0 || a == 0 && got != 0 {
			t.Fatalf("%#x times its inverse is %#x", a, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) element { return element(rapid.Uint16().Draw(t, name)) }
		a, b, c := draw("a"), draw("b"), draw("c")
		if a.times(b) != b.times(a) || a.times(b.times(c)) != a.times(b).times(c) || a.times(b^c) != a.times(b)^a.times(c) || a.times(1) != a {
			t.Fatal("not a field")
		}
	})
	if got := element(0x8000).times(2); got != reduction {
		t.Errorf("x^16 is %#x", got)
	}
}

// TestAnyPiecesRebuild an object, in any order, from any indices.
func TestAnyPiecesRebuild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, KeyPieces).Draw(t, "pieces")
		object := make([]byte, n*PieceSize)
		seeded.New(rapid.String().Draw(t, "object")).Read(object)
		indices := rapid.SliceOfNDistinct(rapid.Uint16(), n, n, rapid.ID).Draw(t, "indices")
		var pieces []Piece
		for _, i := range indices {
			pieces = append(pieces, Cut(object, i))
		}
		got, err := Rebuild(pieces, n)
		if err != nil || !bytes.Equal(got, object) {
			t.Fatalf("rebuilt another object: %v", err)
		}
		if _, err := Rebuild(pieces[:n-1], n); err == nil {
			t.Fatal("rebuilt from too few pieces")
		}
	})
}

// TestFirstPiecesAreTheObject: the code is systematic.
func TestFirstPiecesAreTheObject(t *testing.T) {
	object := make([]byte, KeyPieces*PieceSize)
	seeded.New("systematic").Read(object)
	var joined []byte
	for i := range uint16(KeyPieces) {
		p := Cut(object, i)
		joined = append(joined, p.Bytes[:]...)
	}
	if !bytes.Equal(joined, object) || KeyPieces != 38 || CiphertextPieces != 35 {
		t.Error("the first pieces are not the object")
	}
}
