package level3sparse

import (
	"crypto/mlkem"

	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
)

const (
	level = "level3-sparse"

	// PieceSize is how many bytes of an object travel with a message.
	PieceSize = 32

	proofSize = 32 // of an object's authenticator
	// KeyPieces is how many pieces rebuild an encapsulation key with its proof.
	KeyPieces = (mlkem.EncapsulationKeySize768 + proofSize) / PieceSize
	// CiphertextPieces is how many rebuild a ciphertext with its proof.
	CiphertextPieces = (mlkem.CiphertextSize768 + proofSize) / PieceSize

	// maxSkip is how many message keys of one chain may be skipped at once, and
	// maxSkipped how many are kept. Both are level1's.
	maxSkip    = 1000
	maxSkipped = 2000
)

// New is Level 3 with the sparse ratchet.
func New() *level1.Design { return level1.NewDesign(level, 3, level2.Encapsulated{}, Sparse{}) }

func refuse(sentinel error, detail string) error { return suite.Refuse(level, sentinel, detail) }
