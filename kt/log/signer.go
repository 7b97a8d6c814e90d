package log

import (
	"time"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// signers are those of one log, Ed25519 first. The second one dates what it
// signs by now, the clock of the server.
func signers(keys [2]keyPair, now func() time.Time) ([]note.Signer, error) {
	ed, err := note.NewSigner(keys[0].Signer)
	if err != nil {
		return nil, errKeys
	}
	ml, err := fnote.NewMLDSASigner(keys[1].Signer)
	if err != nil {
		return nil, errKeys
	}
	return []note.Signer{ed, dated{ml, now}}, nil
}

// dated is a signer whose dates come from the same clock as all others of the
// log. By itself it takes the machine's.
type dated struct {
	*fnote.SubtreeSigner
	now func() time.Time
}

// Sign implements note.Signer.
func (s dated) Sign(text []byte) ([]byte, error) {
	var c flog.Checkpoint
	if _, err := c.Unmarshal(text); err != nil {
		return nil, err
	}
	return s.SignSubtree(uint64(s.now().Unix()), c.Origin, 0, c.Size, c.Hash)
}
