package account

import (
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/internal/reject"
)

// verify checks the signer's signatures and those of the added devices.
//
// formal: sig-statement
func (s *Statement) verify(signer *VerifyingKey) error {
	signed := signedBody(s.body)
	if err := signer.VerifyHybrid(signed, &s.sig, statementContext); err != nil {
		return reject.New("V-23", fmt.Errorf("%w: %w", ErrRoster, err), "the signer did not sign this statement")
	}
	added := s.addedDevices()
	if len(added) != len(s.added) {
		return reject.New("V-24", ErrRoster, "each added device signs the statement, and nobody else does")
	}
	for i, d := range added {
		if err := d.Key.VerifyHybrid(signed, &s.added[i], statementContext); err != nil {
			return reject.New("V-24", fmt.Errorf("%w: %w", ErrRoster, err), "an added device did not sign the statement")
		}
	}
	return nil
}

// addedDevices are those that must sign beside the signer.
func (s *Statement) addedDevices() (added []*Device) {
	for _, op := range s.ops {
		if add, ok := op.(AddDevice); ok && (s.kind == signedByRecovery || add.Device.ID != s.device) {
			added = append(added, add.Device)
		}
	}
	return added
}

// allows checks what the signer may do beyond what each operation needs.
func (r *Roster) allows(s *Statement) error {
	if s.kind == signedByRecovery {
		return nil
	}
	if slices.ContainsFunc(s.ops, needsRecoveryKey) {
		return reject.New("V-25", ErrRoster, "only the recovery key replaces or clears itself")
	}
	if slices.ContainsFunc(s.ops, addsDevice) && r.leavesAlone(s) {
		return reject.New("V-26", ErrRoster, "one device may not remove all others and add one at once")
	}
	return nil
}

func needsRecoveryKey(op Operation) bool {
	return op.code() == opReplaceRecovery || op.code() == opClearRecovery
}

func addsDevice(op Operation) bool { return op.code() == opAddDevice }

// leavesAlone reports whether the signing device had others beside it and the
// statement removes every one of them. Devices that the statement itself adds
// do not count: a thief could add and remove some to hide the rest.
func (r *Roster) leavesAlone(s *Statement) bool {
	others := 0
	for _, d := range r.devices {
		if d.ID == s.device {
			continue
		}
		if !s.removes(d.ID) {
			return false
		}
		others++
	}
	return others > 0
}

func (s *Statement) removes(id DeviceID) bool {
	return slices.ContainsFunc(s.ops, func(op Operation) bool {
		remove, ok := op.(RemoveDevice)
		return ok && remove.ID == id
	})
}

func (r *Roster) perform(op Operation) error {
	switch o := op.(type) {
	case AddDevice:
		return r.add(o.Device)
	case RemoveDevice:
		return r.remove(o.ID)
	case RenameDevice:
		return r.rename(o)
	case SetRecovery:
		return r.setRecovery(nil, o.Key)
	case ReplaceRecovery:
		return r.setRecovery(r.recovery, o.Key)
	default:
		return r.setRecovery(r.recovery, nil)
	}
}

func (r *Roster) add(d *Device) error {
	everyone := slices.Concat(r.devices, r.removed)
	if slices.ContainsFunc(everyone, func(o *Device) bool { return o.ID == d.ID }) {
		return reject.New("V-27", ErrRoster, "a device id is never used twice")
	}
	if r.serves(d.Key) {
		return reject.New("V-27", ErrRoster, "no key of an account serves twice")
	}
	r.devices = append(r.devices, d)
	return nil
}

// serves reports whether half of key is half of the recovery key, or of the
// key of a device that is or was on the roster. If one key had two places, its
// signature would say less about who signed.
func (r *Roster) serves(key *VerifyingKey) bool {
	if r.recovery != nil && r.recovery.sharesHalf(key) {
		return true
	}
	everyone := slices.Concat(r.devices, r.removed)
	return slices.ContainsFunc(everyone, func(o *Device) bool { return o.Key.sharesHalf(key) })
}

func (r *Roster) remove(id DeviceID) error {
	i := r.index(id)
	if i < 0 {
		return reject.New("V-29", ErrRoster, "no such device")
	}
	r.removed = append(r.removed, r.devices[i])
	r.devices = slices.Delete(r.devices, i, i+1)
	return nil
}

func (r *Roster) rename(o RenameDevice) error {
	i := r.index(o.ID)
	if i < 0 {
		return reject.New("V-29", ErrRoster, "no such device")
	}
	renamed := *r.devices[i]
	renamed.Name = o.Name
	r.devices[i] = &renamed
	return nil
}

// setRecovery replaces the key that is there, which must be expected: a device
// may set one only where none exists.
func (r *Roster) setRecovery(expected, key *VerifyingKey) error {
	if r.recovery != expected || expected == nil && key == nil {
		return reject.New("V-25", ErrRoster, "the account has a recovery key already, or none to replace")
	}
	if key != nil && r.serves(key) {
		return reject.New("V-27", ErrRoster, "no key of an account serves twice")
	}
	r.recovery = key
	return nil
}
