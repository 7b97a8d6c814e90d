package account

import (
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// Operation is one change that a roster statement makes: AddDevice,
// RemoveDevice, RenameDevice, SetRecovery, ReplaceRecovery or ClearRecovery.
// SPEC §4.6.
type Operation interface {
	code() opCode
	payload() []byte
}

type opCode uint8

const (
	opAddDevice opCode = iota + 1
	opRemoveDevice
	opRenameDevice
	opSetRecovery
	opReplaceRecovery
	opClearRecovery
)

// AddDevice puts a device on the roster. Its id must never have been on it.
type AddDevice struct{ Device *Device }

// RemoveDevice takes a device off the roster for good.
type RemoveDevice struct{ ID DeviceID }

// RenameDevice replaces a device's sealed name, at most 255 bytes.
type RenameDevice struct {
	ID   DeviceID
	Name []byte
}

// SetRecovery gives the account a recovery key where it has none.
type SetRecovery struct{ Key *VerifyingKey }

// ReplaceRecovery changes the recovery key; the old one must sign.
type ReplaceRecovery struct{ Key *VerifyingKey }

// ClearRecovery removes the recovery key; that key must sign.
type ClearRecovery struct{}

func (AddDevice) code() opCode       { return opAddDevice }
func (RemoveDevice) code() opCode    { return opRemoveDevice }
func (RenameDevice) code() opCode    { return opRenameDevice }
func (SetRecovery) code() opCode     { return opSetRecovery }
func (ReplaceRecovery) code() opCode { return opReplaceRecovery }
func (ClearRecovery) code() opCode   { return opClearRecovery }

func (o AddDevice) payload() []byte    { return o.Device.Marshal() }
func (o RemoveDevice) payload() []byte { return o.ID[:] }
func (o RenameDevice) payload() []byte {
	return codec.AppendV16(append([]byte(nil), o.ID[:]...), o.Name)
}
func (o SetRecovery) payload() []byte     { return o.Key.append(nil) }
func (o ReplaceRecovery) payload() []byte { return o.Key.append(nil) }
func (ClearRecovery) payload() []byte     { return nil }

// checkOperation refuses what this program was asked to propose and no parser
// would take back.
func checkOperation(op Operation) error {
	switch o := op.(type) {
	case AddDevice:
		return o.Device.check()
	case RenameDevice:
		if len(o.Name) > MaxDeviceName {
			return reject.New("V-18", ErrStatement, "a device name of more than 255 bytes")
		}
	case SetRecovery:
		return checkKey(o.Key)
	case ReplaceRecovery:
		return checkKey(o.Key)
	}
	return nil
}

func checkKey(key *VerifyingKey) error {
	if key == nil {
		return reject.New("V-18", ErrStatement, "an operation without its key")
	}
	return nil
}

// parseOperation reads the payload of one operation strictly.
func parseOperation(code opCode, payload []byte) (Operation, error) {
	r := codec.NewReader(payload)
	var op Operation
	var err error
	switch code {
	case opAddDevice:
		var d *Device
		d, err = ParseDevice(r.Bytes(r.Len()))
		op = AddDevice{d}
	case opRemoveDevice:
		var o RemoveDevice
		r.Copy(o.ID[:])
		op = o
	case opRenameDevice:
		var o RenameDevice
		r.Copy(o.ID[:])
		o.Name = append(o.Name, r.V16(MaxDeviceName)...)
		op = o
	case opSetRecovery:
		var k *VerifyingKey
		k, err = readVerifyingKey(r)
		op = SetRecovery{k}
	case opReplaceRecovery:
		var k *VerifyingKey
		k, err = readVerifyingKey(r)
		op = ReplaceRecovery{k}
	case opClearRecovery:
		op = ClearRecovery{}
	default:
		return nil, reject.New("V-18", ErrStatement, "unknown operation")
	}
	if err != nil {
		return nil, err
	}
	if !r.Done() {
		return nil, reject.New("V-18", ErrStatement, "an operation of the wrong length")
	}
	return op, nil
}
