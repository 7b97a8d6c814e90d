package account

import (
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/internal/reject"
)

// MaxDevices is how many devices an account may have at one time.
const MaxDevices = 64

// Roster is the state of an account after a number of statements: its devices
// and its recovery key. It never changes; Apply returns the next one. All
// devices are equal, and no key is ever copied between them. SPEC §4.5.
type Roster struct {
	id         ID
	seq        uint64
	head       [48]byte
	devices    []*Device // in the order they were added
	recovery   *VerifyingKey
	removed    []*Device // every device that was ever on the roster and is not now
	statements [][]byte
}

// ID is the account id: the hash of statement 0. It never changes.
func (r *Roster) ID() ID { return r.id }

// Seq is the number of the newest statement.
func (r *Roster) Seq() uint64 { return r.seq }

// Head is the hash of the newest statement.
func (r *Roster) Head() [48]byte { return r.head }

// Devices are the devices on the roster now, oldest first.
func (r *Roster) Devices() []*Device { return slices.Clone(r.devices) }

// Recovery is the recovery key, or nil.
func (r *Roster) Recovery() *VerifyingKey { return r.recovery }

// Statements are the encoded statements, from statement 0 on.
func (r *Roster) Statements() [][]byte { return slices.Clone(r.statements) }

// Device finds a device that is on the roster now.
func (r *Roster) Device(id DeviceID) (*Device, bool) {
	i := r.index(id)
	if i < 0 {
		return nil, false
	}
	return r.devices[i], true
}

// Removed finds a device that was on the roster and is not any more.
func (r *Roster) Removed(id DeviceID) (*Device, bool) {
	i := slices.IndexFunc(r.removed, func(d *Device) bool { return d.ID == id })
	if i < 0 {
		return nil, false
	}
	return r.removed[i], true
}

// RemovedDevices are the devices that were on the roster and are not any more.
func (r *Roster) RemovedDevices() []*Device { return slices.Clone(r.removed) }

func (r *Roster) index(id DeviceID) int {
	return slices.IndexFunc(r.devices, func(d *Device) bool { return d.ID == id })
}

// ReplayRoster builds a roster from all its encoded statements.
func ReplayRoster(statements [][]byte) (*Roster, error) {
	if len(statements) == 0 {
		return nil, reject.New("V-19", ErrRoster, "no statement 0")
	}
	var r *Roster
	for i, raw := range statements {
		s, err := ParseStatement(raw)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r, err = StartRoster(s)
		} else {
			r, err = r.Apply(s)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// StartRoster checks statement 0: one device that adds itself, alone or with a
// recovery key.
func StartRoster(s *Statement) (*Roster, error) {
	if len(s.ops) == 0 {
		return nil, reject.New("V-19", ErrRoster, "statement 0 is empty")
	}
	first, ok := s.ops[0].(AddDevice)
	if s.seq != 0 || s.prev != [48]byte{} || !ok || s.kind != signedByDevice || s.device != first.Device.ID {
		return nil, reject.New("V-19", ErrRoster, "statement 0 is not one device adding itself")
	}
	for _, op := range s.ops[1:] {
		if _, ok := op.(SetRecovery); !ok {
			return nil, reject.New("V-19", ErrRoster, "statement 0 may only add a recovery key to its device")
		}
	}
	if err := s.verify(first.Device.Key); err != nil {
		return nil, err
	}
	empty := &Roster{id: s.Hash()}
	return empty.advance(s)
}

// Apply checks a later statement against this roster and returns the next
// one. A different statement with a number that is already taken gives
// ErrFork. On any error this roster stands unchanged.
func (r *Roster) Apply(s *Statement) (*Roster, error) {
	if s.seq == 0 || s.account != r.id {
		return nil, reject.New("V-20", ErrRoster, "a statement of another account")
	}
	if s.seq <= r.seq {
		return nil, r.revisit(s)
	}
	if s.seq != r.seq+1 || s.prev != r.head {
		return nil, reject.New("V-20", ErrRoster, "it does not follow the newest statement")
	}
	signer, err := r.signer(s)
	if err != nil {
		return nil, err
	}
	if err := s.verify(signer); err != nil {
		return nil, err
	}
	if err := r.allows(s); err != nil {
		return nil, err
	}
	return r.advance(s)
}

// revisit tells a repeat, a fork and a forgery apart. The statement counts as a
// fork only if the roster of its time would have accepted it.
func (r *Roster) revisit(s *Statement) error {
	known, err := ParseStatement(r.statements[s.seq])
	if err == nil && known.Hash() == s.Hash() {
		return reject.New("V-20", ErrRoster, "this statement was applied before")
	}
	then, err := ReplayRoster(r.statements[:s.seq])
	if err != nil {
		return err
	}
	if _, err := then.Apply(s); err != nil {
		return err
	}
	return reject.New("V-21", ErrFork, fmt.Sprintf("two different statements have number %d", s.seq))
}

// signer finds the key that must have signed: a device on the roster before
// the statement, or the recovery key.
func (r *Roster) signer(s *Statement) (*VerifyingKey, error) {
	if s.kind == signedByRecovery {
		if r.recovery == nil {
			return nil, reject.New("V-22", ErrRoster, "signed by a recovery key that the account does not have")
		}
		return r.recovery, nil
	}
	d, ok := r.Device(s.device)
	if !ok {
		return nil, reject.New("V-22", ErrRoster, "signed by a device that is not on the roster")
	}
	return d.Key, nil
}

// advance applies the operations in order to a copy.
func (r *Roster) advance(s *Statement) (*Roster, error) {
	next := &Roster{
		id: r.id, seq: s.seq, head: s.Hash(), recovery: r.recovery,
		devices: slices.Clone(r.devices), removed: slices.Clone(r.removed),
		statements: append(slices.Clone(r.statements), s.Marshal()),
	}
	for _, op := range s.ops {
		if err := next.perform(op); err != nil {
			return nil, err
		}
	}
	if len(next.devices) == 0 || len(next.devices) > MaxDevices {
		return nil, reject.New("V-28", ErrRoster, "an account has 1 to 64 devices")
	}
	return next, nil
}
