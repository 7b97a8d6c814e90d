package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
)

// rosterLife is how long a confirmed roster is used before the directory is
// asked again. A new device of a contact is noticed within this time.
const rosterLife = 10 * time.Minute

// person is an account with its verified roster. known says that the profile
// holds a row of it.
type person struct {
	row    localdb.Contact
	roster *account.Roster
	known  bool
}

// parties lists the devices to send to.
func (p person) parties() (all []account.Party) {
	for _, device := range p.roster.Devices() {
		all = append(all, account.Party{Account: p.row.Account, Device: device})
	}
	return all
}

// rosterCache remembers, until the profile closes, when each account was last
// confirmed by the directory, and the accounts of strangers that no row holds.
type rosterCache struct {
	mu        sync.Mutex
	confirmed map[account.ID]time.Time
	strangers map[account.ID]person
	told      map[any]bool // what complain was asked
	asked     map[account.ID]time.Time
}

// maxStrangers bounds the accounts kept in memory only.
const maxStrangers = 64

func newRosterCache() *rosterCache {
	return &rosterCache{confirmed: map[account.ID]time.Time{}, strangers: map[account.ID]person{}, told: map[any]bool{}, asked: map[account.ID]time.Time{}}
}

// askPause is how long after a failed look-up because of a delivery the next one
// for the same account may come.
const askPause = time.Minute

// due reports whether an account that something came from is to be looked up
// again, and counts that as done.
func (r *rosterCache) due(id account.ID, now time.Time) bool {
	if r.fresh(id, now) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.asked[id]); age >= 0 && age < askPause {
		return false
	}
	r.asked[id] = now
	return true
}

// complain reports whether the user is to be told of something about an account
// or a device: once.
func (r *rosterCache) complain(of any) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.told[of]
	r.told[of] = true
	return first
}

func (r *rosterCache) fresh(id account.ID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := now.Sub(r.confirmed[id])
	return age >= 0 && age < rosterLife
}

func (r *rosterCache) confirm(p person, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.confirmed[p.row.Account] = now
	if p.known {
		delete(r.strangers, p.row.Account)
		return
	}
	if len(r.strangers) >= maxStrangers {
		clear(r.strangers)
	}
	r.strangers[p.row.Account] = p
}

// doubt makes the next use of an account ask the directory again.
func (r *rosterCache) doubt(id account.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.confirmed, id)
	delete(r.strangers, id)
}

func (r *rosterCache) stranger(id account.ID) (person, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.strangers[id]
	return p, ok
}

// findByName turns a name into a verified account. A known name works without
// the network. Errors: ErrUnknownName, ErrOffline (only for names never seen),
// ErrChangedAccount (with the known account, once that was noted), ErrRoster.
func (c *Client) findByName(ctx context.Context, name account.Name) (person, error) {
	known, err := c.knownByName(ctx, name)
	if err != nil {
		return person{}, err
	}
	if err := unchanged(known); err != nil {
		return known, err
	}
	now := clock.Now()
	if known.known && c.rosters.fresh(known.row.Account, now) {
		return known, nil
	}
	record, proof, err := c.provenByName(ctx, name)
	switch {
	case errors.Is(err, transport.ErrNotFound):
		return person{}, ErrUnknownName
	case known.known && errors.Is(err, transport.ErrOffline):
		return known, nil
	case err != nil:
		return person{}, remote(err)
	}
	if record.Name != string(name) {
		return person{}, reject.New("V-101", ErrRoster, "the directory answered for another name")
	}
	return c.confirm(ctx, known, record, proof, now)
}

// findByID turns an account id into a verified account; again asks the
// directory even if the account was confirmed lately.
func (c *Client) findByID(ctx context.Context, id account.ID, again bool) (person, error) {
	known, err := c.knownByID(ctx, id)
	if err != nil {
		return person{}, err
	}
	if known.roster != nil && !again {
		return known, nil
	}
	record, proof, err := c.provenByID(ctx, id, known.row.Name)
	if errors.Is(err, transport.ErrNotFound) {
		return person{}, reject.New("V-104", ErrSender, "the directory has no such account")
	}
	if err != nil {
		return person{}, remote(err)
	}
	if !bytes.Equal(record.Account, id[:]) {
		return person{}, reject.New("V-101", ErrRoster, "the directory answered for another account")
	}
	return c.confirm(ctx, known, record, proof, clock.Now())
}

// findSender turns the account of a delivery into a verified one. What is known
// of it is confirmed when that is due, so that a device which its account has
// removed is not heard for long, also by somebody who only reads. A directory
// that cannot be asked, or not be believed, leaves it at what is known.
func (c *Client) findSender(ctx context.Context, id account.ID) (person, error) {
	known, err := c.findByID(ctx, id, false)
	if err != nil || known.row.State == localdb.Blocked || known.row.State == localdb.Former || !c.rosters.due(id, clock.Now()) {
		return known, err
	}
	now, err := c.findByID(ctx, id, true)
	switch {
	case err == nil:
		return now, nil
	case ctx.Err() != nil:
		return person{}, ctx.Err()
	case !aboutAccount(err) && !passing(err) && !errors.Is(err, ErrServer):
		return person{}, err
	}
	c.refuse(err)
	return c.knownByID(ctx, id)
}

// confirm verifies a directory record against everything known so far, keeps
// a longer roster of a known account, and notes the time.
func (c *Client) confirm(ctx context.Context, known person, record transport.Record, proof *proof, now time.Time) (person, error) {
	found, err := verifyRecord(record)
	if err != nil {
		return person{}, err
	}
	holder, err := c.knownByName(ctx, found.row.Name)
	if err != nil {
		return person{}, err
	}
	if holder.known && holder.row.Account != found.row.Account {
		return person{}, c.noteChange(ctx, holder.row, found.row.Account)
	}
	if !known.known {
		c.rosters.confirm(found, now)
		return found, nil
	}
	if known.row.Name != found.row.Name {
		return person{}, reject.New("V-102", ErrChangedAccount, "an account keeps its name")
	}
	if forked(known.row) {
		return known, nil
	}
	merged, err := extend(known, found)
	if errors.Is(err, errContradicts) && proof != nil && !c.isSelf(known.row.Account) {
		return known, c.noteFork(ctx, known, found, proof.seen)
	}
	if err != nil {
		return person{}, err
	}
	if merged.roster != known.roster {
		err = c.update(ctx, func(tx *localdb.Tx) error { return c.adopt(tx, known, merged) })
	}
	if err == nil {
		c.rosters.confirm(merged, now)
	}
	return merged, err
}

// storeStatements replaces the roster in a contact row and nothing else of it.
func storeStatements(tx *localdb.Tx, row localdb.Contact) error {
	stored, err := tx.Contact(row.Account)
	if err != nil {
		return err
	}
	stored.Statements = row.Statements
	return tx.PutContact(stored)
}

// verifyRecord replays a record's roster from statement 0. The account id is
// the hash of that statement, so the answer proves itself or fails.
func verifyRecord(record transport.Record) (person, error) {
	name, err := account.ParseName(record.Name)
	if err != nil {
		return person{}, reject.New("V-101", ErrRoster, "not a name")
	}
	roster, err := account.ReplayRoster(record.Statements)
	if err != nil {
		return person{}, reject.New("V-101", ErrRoster, "the statements do not follow from each other")
	}
	id := roster.ID()
	if !bytes.Equal(record.Account, id[:]) {
		return person{}, reject.New("V-101", ErrRoster, "the statements make another account")
	}
	row := localdb.Contact{Account: id, Name: name, Statements: record.Statements}
	return person{row: row, roster: roster}, nil
}

// errContradicts is ErrRoster for two chains that differ.
var errContradicts = fmt.Errorf("%w: it contradicts the roster known so far", ErrRoster)

// extend accepts a roster that continues the known one. A shorter one is an
// old copy, and the known one stays; two that differ are a fork.
func extend(known, found person) (person, error) {
	if common(known.row.Statements, found.row.Statements) < min(len(known.row.Statements), len(found.row.Statements)) {
		return person{}, reject.New("V-103", errContradicts, "it contradicts the roster known so far")
	}
	if len(found.row.Statements) <= len(known.row.Statements) {
		return known, nil
	}
	known.row.Statements, known.roster = found.row.Statements, found.roster
	return known, nil
}

func (c *Client) knownByName(ctx context.Context, name account.Name) (p person, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		p.row, err = tx.ContactByName(name)
		p.known, err = found(err)
		return err
	})
	return p.replayed(err)
}

func (c *Client) knownByID(ctx context.Context, id account.ID) (p person, err error) {
	if c.isSelf(id) {
		err = c.view(ctx, func(tx *localdb.Tx) (err error) {
			p, err = c.self(tx)
			return err
		})
		return p, err
	}
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		p.row, err = tx.Contact(id)
		p.known, err = found(err)
		return err
	})
	if err == nil && !p.known {
		if stranger, ok := c.rosters.stranger(id); ok {
			return stranger, nil
		}
	}
	return p.replayed(err)
}

// found turns the database's "no such row" into false.
func found(err error) (bool, error) {
	if errors.Is(err, localdb.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// replayed fills in the roster of a stored row.
func (p person) replayed(err error) (person, error) {
	if err != nil || !p.known {
		return person{}, err
	}
	p.roster, err = storedRoster(p.row)
	return p, err
}

// storedRoster replays what was verified before it was stored. If that fails
// the profile is damaged; the check that noticed is of no interest.
func storedRoster(row localdb.Contact) (*account.Roster, error) {
	roster, err := account.ReplayRoster(row.Statements)
	if err != nil {
		return nil, fmt.Errorf("%w: the roster of a contact: %v", localdb.ErrCorrupt, err)
	}
	return roster, nil
}

// remote puts the engine's own words in front of a transport failure.
func remote(err error) error {
	switch {
	case turnedAway(err):
		return err
	case errors.Is(err, transport.ErrCloned):
		return fmt.Errorf("%w (%w)", ErrCopyUnproven, err) // with a proof, the login has said so
	case errors.Is(err, transport.ErrOffline), errors.Is(err, transport.ErrLimited):
		return fmt.Errorf("%w (%w)", ErrOffline, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, transport.ErrCertificate), errors.Is(err, transport.ErrClassical),
		errors.Is(err, ErrTransparency), errors.Is(err, ErrRoster):
		return err
	case errors.Is(err, transport.ErrDenied) && errors.Is(denied(err), ErrAccountDisabled):
		return fmt.Errorf("%w (%w)", ErrAccountDisabled, err)
	case errors.Is(err, transport.ErrRemoved):
		return fmt.Errorf("%w (%w)", ErrRemovalUnproven, err)
	default:
		return fmt.Errorf("%w (%w)", ErrServer, err)
	}
}
