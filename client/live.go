package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/verification"
)

const (
	// mostFailures live comparisons may fail in a day before none is begun.
	mostFailures = 3
	failureLife  = 24 * time.Hour
)

// The steps of SPEC §13.4.
const (
	stepOfferA = iota + 1
	stepOfferB
	stepOpenA
	stepOpenB
)

// BeginComparison offers a contact a live comparison of short codes. It takes
// two programs that are connected; WaitComparison tells when it is through. One
// run goes on with each contact at a time; a new one takes the place of an old.
// Errors: ErrBlocked, ErrVerificationLocked, ErrUnknownName, ErrOwnName, ErrOffline,
// ErrChangedAccount, ErrWaitingForPeer.
func (c *Client) BeginComparison(ctx context.Context, name account.Name) error {
	if name == c.profile.Name {
		return ErrOwnName
	}
	p, err := c.findByName(ctx, name)
	if err != nil {
		return err
	}
	id, offer, err := c.newRun(ctx, p)
	if err != nil {
		return err
	}
	if err := c.offer(ctx, p, func(b *book) error { return b.sendStep(id, stepOfferA, offer) }); err != nil {
		return err
	}
	return c.flush(ctx)
}

// offer seals the first step for every device of a contact. One whose keys
// cannot be used now is passed over, unless all are like that.
func (c *Client) offer(ctx context.Context, p person, step func(*book) error) (why error) {
	sealed := 0
	for _, peer := range p.parties() {
		err := c.suited(peer)
		if err == nil {
			err = c.sealFor(ctx, peer, step)
		}
		switch {
		case errors.Is(err, ErrWaitingForPeer), errors.Is(err, ErrNoCommonSuite):
			why = err
		case err != nil:
			return err
		default:
			sealed++
		}
	}
	if sealed > 0 {
		return nil
	}
	return why
}

// newRun stores a run of this side's, before anything of it leaves.
func (c *Client) newRun(ctx context.Context, p person) (id [16]byte, offer []byte, err error) {
	c.entropy.Read(id[:])
	err = c.update(ctx, func(tx *localdb.Tx) error {
		now := clock.Now()
		if err := befriend(tx, p.row, now); err != nil {
			return err
		}
		row, err := comparison(tx, p.row.Account)
		if err != nil {
			return err
		}
		if locked(row, now) {
			return ErrVerificationLocked
		}
		head, err := logHead(tx)
		if err != nil {
			return err
		}
		run, first := verification.Start(c.myself(), personOf(p.row), head, millis(now), c.entropy.Read)
		offer = first.Marshal()
		row.ID, row.Device = id, account.DeviceID{}
		return putRun(tx, row, run)
	})
	return id, offer, err
}

// comparison is what is stored about an account's comparison, or an empty row.
func comparison(tx *localdb.Tx, id account.ID) (localdb.Verification, error) {
	row, err := tx.Verification(id)
	if ok, err := found(err); !ok {
		return localdb.Verification{Account: id}, err
	}
	return row, nil
}

// putRun stores the next state of a run; nil ends it.
func putRun(tx *localdb.Tx, row localdb.Verification, run *verification.Run) error {
	row.Run = nil
	if run != nil {
		row.Run = run.Marshal()
		defer secret.Wipe(row.Run)
	}
	return tx.PutVerification(row)
}

// runOf is the stored run, nil when there is none.
func runOf(row localdb.Verification) (*verification.Run, error) {
	if len(row.Run) == 0 {
		return nil, nil
	}
	return verification.ParseRun(row.Run)
}

// locked reports whether too many comparisons have failed within a day.
func locked(row localdb.Verification, now time.Time) bool {
	return row.Failed >= mostFailures && now.Sub(instant(row.FailedAt)) < failureLife
}

// replaced counts a run that a new one of the contact's takes the place of after
// it had its code: it was not ended by a comparison, and whoever stands between
// the two would else get as many codes as it asks for, until one suits.
func replaced(row localdb.Verification, present *verification.Run, now time.Time) localdb.Verification {
	if present == nil || present.Code() == "" || present.Expired(millis(now)) {
		return row
	}
	return failedOnce(row, now)
}

// failRun ends a run that went wrong, and counts it.
func failRun(tx *localdb.Tx, row localdb.Verification, now time.Time) error {
	return putRun(tx, failedOnce(row, now), nil)
}

// failedOnce counts one more failed run.
func failedOnce(row localdb.Verification, now time.Time) localdb.Verification {
	if now.Sub(instant(row.FailedAt)) >= failureLife {
		row.Failed = 0
	}
	row.Failed, row.FailedAt = row.Failed+1, millis(now)
	return row
}

// sendStep seals one step for the device of the book.
func (b *book) sendStep(id [16]byte, step uint8, data []byte) error {
	frame := content.Verification{Run: id, Step: step, Data: data}
	_, err := b.seal(b.client.newMessage(frame, b.now), localdb.OutgoingVerification, 0)
	return err
}

// verification takes a step that a contact's device sent. What does not fit the
// stored run is counted as refused and changes nothing.
func (b *book) verification(from localdb.Contact, message content.Message) error {
	step := message.Body.(content.Verification)
	row, err := comparison(b.tx, from.Account)
	if err != nil {
		return err
	}
	switch step.Step {
	case stepOfferA:
		err = b.answerOffer(from, row, step, message.SentAt)
	case stepOfferB:
		err = b.takeOffer(row, step)
	default:
		err = b.takeOpening(from, row, step)
	}
	if errors.Is(err, errNeedBundle) || b.client.refuse(err) {
		return nil
	}
	return err
}

// answerOffer joins a run that the contact has begun. Of two runs begun at once
// that of the smaller account id counts. An offer that waited in the mailbox is
// too old to be answered.
func (b *book) answerOffer(from localdb.Contact, row localdb.Verification, step content.Verification, sentAt uint64) error {
	if age := b.now.Sub(instant(sentAt)); age > verification.RunLife*time.Millisecond || locked(row, b.now) {
		return reject.New("V-251", verification.ErrExpired, "an offer that waited too long, or after too many failures")
	}
	present, err := runOf(row)
	if err != nil {
		return err
	}
	mine := b.client.profile.Account
	if present != nil && present.Role() == verification.Starter && present.Code() == "" &&
		!present.Expired(millis(b.now)) && bytes.Compare(mine[:], from.Account[:]) < 0 {
		return reject.New("V-249", verification.ErrOrder, "the run that this side has begun counts")
	}
	offer, err := verification.ParseOffer(step.Data)
	if err != nil {
		return err
	}
	if row = replaced(row, present, b.now); locked(row, b.now) {
		return errors.Join(putRun(b.tx, row, nil), notify(b.tx, fmt.Sprintf(
			"@%s began a comparison of codes again and again without ending one, so none is answered for a day; compare the 60 digits instead", from.Name)))
	}
	c := b.client
	head, err := logHead(b.tx)
	if err != nil {
		return err
	}
	run, answer := verification.Answer(offer, c.myself(), personOf(from), head, millis(b.now), c.entropy.Read)
	row.ID, row.Device = step.Run, b.peer.Device.ID
	return errors.Join(putRun(b.tx, row, run), b.sendStep(step.Run, stepOfferB, answer.Marshal()))
}

// takeOffer binds the peer: the first of its devices that answers is the one.
func (b *book) takeOffer(row localdb.Verification, step content.Verification) error {
	run, err := b.expected(row, step, account.DeviceID{})
	if err != nil {
		return err
	}
	offer, err := verification.ParseOffer(step.Data)
	if err != nil {
		return err
	}
	next, opening, err := run.TakeOffer(offer, millis(b.now))
	if err != nil {
		return err
	}
	row.Device = b.peer.Device.ID
	return errors.Join(putRun(b.tx, row, next), b.sendStep(step.Run, stepOpenA, opening.Marshal()))
}

// takeOpening ends the run at this side. The responder's own opening leaves
// only now.
func (b *book) takeOpening(from localdb.Contact, row localdb.Verification, step content.Verification) error {
	run, err := b.expected(row, step, b.peer.Device.ID)
	if err != nil {
		return err
	}
	opening, err := verification.ParseOpening(step.Data)
	if err != nil {
		return err
	}
	next, mine, err := run.TakeOpening(opening, millis(b.now))
	if errors.Is(err, verification.ErrCommitment) {
		b.client.refuse(err)
		return errors.Join(failRun(b.tx, row, b.now), notify(b.tx, fmt.Sprintf(
			"the comparison of codes with @%s failed: the other side changed what it had committed to; somebody may be in between", from.Name)))
	}
	if err != nil {
		return err
	}
	if head := next.TheirHead(); len(head) > 0 {
		if err := b.hear(head); err != nil {
			return err
		}
	}
	if err := putRun(b.tx, row, next); err != nil || next.Role() == verification.Starter {
		return err
	}
	return errors.Join(b.sendStep(step.Run, stepOpenB, mine.Marshal()), notify(b.tx, fmt.Sprintf(
		"@%s compares codes with you: yours is %s (%s). Let them read theirs to you on another way, then run 'posthorn verify @%s' with what they read",
		from.Name, verification.Grouped(next.Code()), verification.Words(next.Code()), from.Name)))
}

// expected finds the run that a step belongs to, with the device that it is
// going on with.
func (b *book) expected(row localdb.Verification, step content.Verification, device account.DeviceID) (*verification.Run, error) {
	run, err := runOf(row)
	if err != nil {
		return nil, err
	}
	if run == nil || row.ID != step.Run || row.Device != device || (step.Step == stepOpenB) != (run.Role() == verification.Starter) && step.Step != stepOfferB {
		return nil, reject.New("V-249", verification.ErrOrder, "a step of no run that is going on with this device")
	}
	return run, nil
}

// throughTime is how long the steps after the first answer may take.
const throughTime = 30 * time.Second

// WaitComparison stays connected until the live comparison with a contact has
// its code, which both users then read to each other, and returns it: 8 digits.
// patience bounds how long the contact's program may take to answer at all.
// Errors: ErrNoComparison (nobody answered in time, or the run failed), and
// those of the connection.
func (c *Client) WaitComparison(ctx context.Context, name account.Name, patience time.Duration) (code string, err error) {
	p, err := c.contact(ctx, name)
	if err != nil {
		return "", err
	}
	err = c.awaitRun(ctx, p.row.Account, patience, (*verification.Run).Bound)
	if err != nil {
		return "", err
	}
	err = c.awaitRun(ctx, p.row.Account, throughTime, func(r *verification.Run) bool {
		code = r.Code()
		return code != ""
	})
	return code, err
}

// awaitRun stays connected until the run with an account has come so far.
func (c *Client) awaitRun(ctx context.Context, id account.ID, patience time.Duration, far func(*verification.Run) bool) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.await(waiting, func() (bool, error) {
		run, err := c.run(ctx, id)
		if err != nil || run == nil {
			return false, errors.Join(ErrNoComparison, err)
		}
		return far(run), nil
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return ErrNoComparison
	}
	return err
}

// run reads the stored run with an account.
func (c *Client) run(ctx context.Context, id account.ID) (run *verification.Run, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) error {
		row, err := comparison(tx, id)
		if err != nil {
			return err
		}
		run, err = runOf(row)
		return err
	})
	return run, err
}

// verifyLive compares what the user heard with the code of the finished run. A
// code that differs ends the run.
func (c *Client) verifyLive(ctx context.Context, p person, heard string) error {
	digits, err := verification.ParseShortCode(heard)
	if err != nil {
		return err
	}
	differs := false
	err = c.update(ctx, func(tx *localdb.Tx) error {
		now := clock.Now()
		row, err := comparison(tx, p.row.Account)
		if err != nil {
			return err
		}
		run, err := runOf(row)
		if err != nil {
			return err
		}
		if locked(row, now) {
			return ErrVerificationLocked
		}
		if run == nil || run.Code() == "" || run.Expired(millis(now)) {
			return ErrNoComparison
		}
		if differs = !same(digits, run.Code()); differs {
			return failRun(tx, row, now)
		}
		row.Failed, row.FailedAt = 0, 0
		return errors.Join(putRun(tx, row, nil), verified(tx, p.row), c.tellContact(tx, p.row.Account))
	})
	if err == nil && differs {
		return reject.New("V-253", ErrCodeDiffers, "the run has ended")
	}
	return err
}
