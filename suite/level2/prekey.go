package level2

import (
	"crypto/mlkem"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level1"
)

const level = "level2"

// New is Level 2.
func New() *level1.Design { return level1.NewDesign(level, 2, Encapsulated{}, nil) }

// Encapsulated is the addition to the start: PQPK and CT of PQXDH. It is a
// level1.StartAddition.
type Encapsulated struct{}

// Publish makes an ML-KEM-1024 prekey: a seed of 64 bytes, and a key of 1,568.
func (Encapsulated) Publish(ent suite.Entropy) (private, public []byte) {
	var seed secret.Seed64
	ent.Read(seed[:])
	key, err := mlkem.NewDecapsulationKey1024(seed[:])
	if err != nil {
		panic("level2: ML-KEM-1024 refused a 64-byte seed: " + err.Error())
	}
	return seed[:], key.EncapsulationKey().Bytes()
}
