package kt

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

// The kinds of evidence.
const (
	// KindFork is two checkpoints of the log that contradict each other.
	KindFork = "fork"
	// KindAnswer is an answer that a check refused, with what the device knew.
	KindAnswer = "answer"
	// KindRecord is what the log proves about a name, and its owner denies.
	KindRecord = "record"
	// KindRoster is two statements of an account with one number, of which the log
	// holds the second.
	KindRoster = "roster"
	// KindRollback is two checkpoints of the log, and the smaller was shown last.
	KindRollback = "rollback"
	// KindAudit is a checkpoint, and an epoch under it that does not follow from
	// those before.
	KindAudit = "audit"
	// KindPolicy is what was given as the policies that follow the known one, and
	// the checkpoint that they should lead to.
	KindPolicy = "policy"
)

// Evidence is what remains of a lie: enough for anybody to see it again, with
// no server and no profile. Its notes are signed notes, as other tools know
// them.
type Evidence struct {
	Kind   string
	At     uint64 // Unix ms, by the clock of the device
	Check  string // the rule that refused, such as "V-186"
	Policy *Policy

	Notes [2][]byte  // KindFork: as signed, or the heads that devices passed on. KindRollback: known, shown. KindAudit, KindPolicy: the first alone
	Proof [][32]byte // KindFork: the consistency proof that failed, if the sizes differ. KindAudit: from the epoch to the checkpoint
	Step  *Step      // KindAudit

	Changes []*Change // KindPolicy

	Name   account.Name // the others
	Record *Record      // that was served; nil: nobody has the name
	Known  Known        // what the device had verified before
	Answer *Answer

	// KindRoster: the statements that both lists of the account's devices begin
	// with, and how each goes on. The second is the one of Record.
	Shared [][]byte
	Chains [2][][]byte
}

// Finding is what evidence shows.
type Finding struct {
	// Conclusive: the log's own signatures contradict each other, or those of an
	// account's devices. Otherwise the file shows what the server said, and the rule
	// that refuses it.
	Conclusive bool
	Words      string
}

// Verify looks at the evidence afresh. An error says that it proves nothing.
func (e *Evidence) Verify() (Finding, error) {
	switch e.Kind {
	case KindFork:
		return e.verifyFork()
	case KindAnswer:
		return e.verifyAnswer()
	case KindRecord:
		return e.verifyRecord()
	case KindRoster:
		return e.verifyRoster()
	case KindRollback:
		return e.verifyRollback()
	case KindAudit:
		return e.verifyAudit()
	case KindPolicy:
		return e.verifyPolicy()
	}
	return Finding{}, reject.New("V-192", ErrEvidence, "an unknown kind of evidence")
}

func (e *Evidence) verifyFork() (Finding, error) {
	side, err := e.bothNotes()
	if err != nil {
		return Finding{}, err
	}
	if side[0].Size > side[1].Size {
		side[0], side[1] = side[1], side[0]
	}
	switch err := side[1].Follows(side[0].Size, side[0].Root, e.Proof); {
	case err == nil:
		return Finding{}, reject.New("V-192", ErrEvidence, "the two notes do not contradict each other")
	case side[0].Size == side[1].Size:
		return Finding{true, "The log signed two different lists of one size."}, nil
	}
	return Finding{false, "The server gave a proof that does not connect the two notes which the log signed. The log refutes this only with a proof that does."}, nil
}

func (e *Evidence) bothNotes() (side [2]*Checkpoint, err error) {
	for i := range e.Notes {
		if side[i], err = e.noteOf(i); err != nil {
			return side, err
		}
	}
	return side, nil
}

// noteOf opens a note by the log's Ed25519 signature, which is all that every
// sort of evidence has.
func (e *Evidence) noteOf(i int) (*Checkpoint, error) {
	size, root, err := e.Policy.Signed(e.Notes[i])
	if err != nil {
		return nil, reject.New("V-192", ErrEvidence, "the log did not sign the notes")
	}
	return &Checkpoint{Size: size, Root: root}, nil
}

func (e *Evidence) verifyRollback() (Finding, error) {
	side, err := e.bothNotes()
	if err != nil {
		return Finding{}, err
	}
	if e.Check != "V-185" || side[1].Size >= side[0].Size {
		return Finding{}, reject.New("V-192", ErrEvidence, "the log that was shown last is not the shorter one")
	}
	before, err := e.Policy.signedAt(e.Notes[0])
	if err != nil {
		return Finding{}, err
	}
	after, err := e.Policy.signedAt(e.Notes[1])
	if err != nil {
		return Finding{}, err
	}
	if after.After(before) {
		// Of several nodes of one server, a slow one may sign what another has
		// overtaken, for nobody's eyes.
		return Finding{false, "The log signed a shorter list later than a longer one. As this file's maker says, the shorter one was shown last: the log was put back."}, nil
	}
	return Finding{false, "As this file's maker says, the server showed a list last that is shorter than one which the log had signed before."}, nil
}

// verifyAudit works the epoch out anew. What the log signed decides: its entries
// stand under the checkpoint, and the updates under its own root.
func (e *Evidence) verifyAudit() (Finding, error) {
	signed, refused, err := e.audited()
	if err != nil {
		return Finding{}, err
	}
	if refused == nil || refused.Check != e.Check {
		return Finding{}, reject.New("V-192", ErrEvidence, "the epoch is not refused by the rule that the file names")
	}
	if signed {
		return Finding{true, fmt.Sprintf("Entry %d of the log, which the log signed, does not follow from those before it: %s", e.Step.Number(), refused)}, nil
	}
	return Finding{false, "The server gave this as part of the log, and it is refused: " + refused.Error()}, nil
}

// audited is what is wrong with an epoch.
func (e *Evidence) audited() (signed bool, refused *reject.Error, err error) {
	note, err := e.noteOf(0)
	if err != nil {
		return false, nil, err
	}
	root, err := e.Step.root()
	if err != nil {
		return false, nil, err
	}
	if note.Follows(e.Step.Number()+1, root, e.Proof) != nil {
		return false, reject.New("V-196", ErrAudit, "the roots that were given are not those of the checkpoint"), nil
	}
	signed, err = e.Step.judge(e.Policy.config)
	if err == nil {
		return signed, nil, nil
	}
	if !errors.As(err, &refused) || refused.Check == "V-275" {
		return signed, nil, err
	}
	return signed, refused, nil
}

// AuditEvidence shows an epoch that an audit refused, under a checkpoint and with
// the proof that leads to it. It gives the refusal as everybody finds it: if the
// epoch is not part of the log that was signed, that. Nil: there is nothing to show.
func AuditEvidence(p *Policy, s *Step, checkpoint []byte, steps [][32]byte) (*Evidence, error) {
	e := &Evidence{Kind: KindAudit, Policy: p, Step: s, Notes: [2][]byte{checkpoint}, Proof: steps}
	_, refused, err := e.audited()
	if err != nil || refused == nil {
		return nil, err
	}
	e.Check = refused.Check
	return e, refused
}

func (e *Evidence) verifyAnswer() (Finding, error) {
	_, err := e.Policy.Verify(e.Answer, e.Name, e.Record, e.Known, time.UnixMilli(int64(e.At)))
	var refused *reject.Error
	if !errors.As(err, &refused) || refused.Check != e.Check {
		return Finding{}, reject.New("V-192", ErrEvidence, "the answer is not refused by the rule that the file names")
	}
	switch {
	case e.Answer.Root.Standing.Number > e.Policy.standing.Number:
		return Finding{}, reject.New("V-192", ErrEvidence, "the answer is under a later policy than the file's, which it may well meet")
	case errors.Is(refused, ErrStale):
		return e.verifyFrozen()
	case errors.Is(refused, ErrSignature):
		return Finding{}, reject.New("V-192", ErrEvidence, "nothing in the answer is signed by the log, so anybody could have made it")
	}
	return Finding{false, "As this file's maker says, the server gave this answer. It is refused: " + refused.Error() + ". Of what is in the file the log has signed the checkpoint alone."}, nil
}

// verifyFrozen is about a log that has stood still, which a clock alone says: the
// file shows what was served, and never that the clock was right. One that is
// ahead of the clock is no evidence, because no log signs what is to come.
func (e *Evidence) verifyFrozen() (Finding, error) {
	c, err := e.Policy.Checkpoint(e.Answer.Checkpoint)
	at := time.UnixMilli(int64(e.At))
	if err != nil || at.Before(c.Newest) {
		return Finding{}, reject.New("V-192", ErrEvidence, "the clock that the answer was read by was behind the log's")
	}
	return Finding{false, fmt.Sprintf("The server gave a checkpoint whose newest signature is of %s when, as this file's maker says, it was %s. A log that stands still looks like this, and so does a clock that is ahead.",
		c.Newest.UTC().Format(time.DateTime), at.UTC().Format(time.DateTime))}, nil
}

func (e *Evidence) verifyRecord() (Finding, error) {
	if _, err := e.Policy.Verify(e.Answer, e.Name, e.Record, e.Known, time.UnixMilli(int64(e.At))); err != nil || e.Record == nil {
		return Finding{}, reject.New("V-192", ErrEvidence, "the log does not prove this record")
	}
	// Anybody who may look a name up can make such a file of an honest answer.
	return Finding{false, "The log holds this record of the name. That its owner did not make it is what this file's maker says: ask the owner."}, nil
}

func (e *Evidence) verifyRoster() (Finding, error) {
	if _, err := e.verifyRecord(); err != nil {
		return Finding{}, err
	}
	var side [2]*account.Roster
	for i, more := range e.Chains {
		if len(more) == 0 {
			return Finding{}, reject.New("V-192", ErrEvidence, "one list continues the other")
		}
		roster, err := account.ReplayRoster(slices.Concat(e.Shared, more))
		if err != nil {
			return Finding{}, reject.New("V-192", ErrEvidence, "the statements do not follow from each other")
		}
		side[i] = roster
	}
	one, err := account.ParseStatement(e.Chains[0][0])
	two, err2 := account.ParseStatement(e.Chains[1][0])
	if err != nil || err2 != nil || len(e.Shared) == 0 || one.Hash() == two.Hash() {
		return Finding{}, reject.New("V-192", ErrEvidence, "the two statements do not differ")
	}
	if RecordOf(e.Name, side[1]) != *e.Record {
		return Finding{}, reject.New("V-192", ErrEvidence, "the record is not that of the second list")
	}
	return Finding{true, fmt.Sprintf("The account's own devices signed two different statements with the number %d, and the log holds the second.", len(e.Shared))}, nil
}

// verifyPolicy follows the policies anew.
func (e *Evidence) verifyPolicy() (Finding, error) {
	if _, err := e.noteOf(0); err != nil {
		return Finding{}, err
	}
	_, err := e.Policy.Follow(e.Changes, e.Notes[0])
	var refused *reject.Error
	if len(e.Changes) == 0 || !errors.As(err, &refused) || refused.Check != e.Check {
		return Finding{}, reject.New("V-192", ErrEvidence, "the policies are not refused by the rule that the file names")
	}
	return Finding{false, fmt.Sprintf("As this file's maker says, the server gave this as what follows policy %d of its log. It is refused: %s.", e.Policy.standing.Number, refused)}, nil
}

// AsFork turns an answer that does not continue the log into evidence by notes
// alone, given the checkpoint that was known. Of policies whose checkpoint the
// newest one does not continue, the two are the evidence.
func (e *Evidence) AsFork(known []byte) *Evidence {
	if e.Kind == KindPolicy {
		return e.forkedChange()
	}
	return &Evidence{
		Kind: KindFork, At: e.At, Check: e.Check, Policy: e.Policy,
		Notes: [2][]byte{known, e.Answer.Checkpoint}, Proof: e.Answer.Consistency,
	}
}

// forkedChange shows the first checkpoint that vouches for a policy and that the
// newest one does not continue.
func (e *Evidence) forkedChange() *Evidence {
	newest, err := e.noteOf(0)
	for _, c := range e.Changes {
		fork := &Evidence{Kind: KindFork, At: e.At, Check: e.Check, Policy: e.Policy, Notes: [2][]byte{c.Checkpoint, e.Notes[0]}, Proof: c.Consistency}
		bridge, bad := fork.noteOf(0)
		if err == nil && bad == nil && newest.Follows(bridge.Size, bridge.Root, c.Consistency) != nil {
			return fork
		}
	}
	return e
}
