package account

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// MaxDeviceName is the length of the longest device name, in bytes.
	MaxDeviceName = 255

	deviceVersion = 1
	maxSuites     = 16
	maxDeviceSize = 1 + 32 + verifyingKeySize + 1 + maxSuites + 8 + 2 + MaxDeviceName
)

// Device is the public record of one device, as a roster adds it. Treat it as
// read-only once it is part of a roster, a Party or a statement. SPEC §4.2.
type Device struct {
	ID        DeviceID
	Key       *VerifyingKey
	Suites    []Suite // ascending; numbers this program does not know are kept
	CreatedAt uint64  // Unix milliseconds, by the device's own clock
	Name      []byte  // sealed for the account's own devices; at most 255 bytes
}

// Marshal gives the one encoding of the record. The device must satisfy the
// rules that ParseDevice checks.
func (d *Device) Marshal() []byte {
	b := make([]byte, 0, maxDeviceSize)
	b = append(b, deviceVersion)
	b = append(b, d.ID[:]...)
	b = d.Key.append(b)
	b = append(b, byte(len(d.Suites)))
	for _, s := range d.Suites {
		b = append(b, byte(s))
	}
	b = binary.BigEndian.AppendUint64(b, d.CreatedAt)
	return codec.AppendV16(b, d.Name)
}

// ParseDevice reads a record strictly: whatever it accepts, Marshal writes
// back byte for byte. Suite numbers from the future are accepted, so that a
// contact with a newer program stays reachable. SPEC §4.2.
func ParseDevice(b []byte) (*Device, error) {
	r := codec.NewReader(b)
	if r.U8() != deviceVersion {
		return nil, reject.New("V-09", ErrDevice, "unknown version")
	}
	d := &Device{}
	r.Copy(d.ID[:])
	key, keyErr := readVerifyingKey(r)
	d.Key = key
	d.Suites = readSuites(r)
	d.CreatedAt = r.U64()
	d.Name = append(d.Name, r.V16(MaxDeviceName)...)
	if !r.Done() {
		return nil, reject.New("V-09", ErrDevice, "not one record of the right length")
	}
	if keyErr != nil {
		return nil, keyErr
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func readSuites(r *codec.Reader) []Suite {
	raw := r.Bytes(int(r.U8()))
	suites := make([]Suite, len(raw))
	for i, s := range raw {
		suites[i] = Suite(s)
	}
	return suites
}

// check covers what a record can get wrong beyond its framing.
func (d *Device) check() error {
	if d.Key == nil || len(d.Name) > MaxDeviceName {
		return reject.New("V-09", ErrDevice, "no key, or a name of more than 255 bytes")
	}
	if len(d.Suites) == 0 || len(d.Suites) > maxSuites {
		return reject.New("V-10", ErrDevice, "a device lists 1 to 16 suites")
	}
	for i, s := range d.Suites {
		if s == 0 || i > 0 && s <= d.Suites[i-1] {
			return reject.New("V-10", ErrDevice, "suites are not zero, ascend and do not repeat")
		}
	}
	return nil
}
