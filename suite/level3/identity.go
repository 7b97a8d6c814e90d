package level3

import (
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// identity is a device with its signing keys, and the roster statement that
// made its account. SPEC §4.
type identity struct {
	*pq3.Identity
	name      string
	seeds     account.KeySeeds
	statement []byte
}

func newIdentity(s account.Suite, ent suite.Entropy, now time.Time, name string) (*identity, error) {
	key, seeds := account.GenerateSigningKey(ent.Read)
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{s}, CreatedAt: millis(now)}
	ent.Read(device.ID[:])
	statement, err := account.NewAccount(device, key, millis(now), ent.SignReader())
	if err != nil {
		return nil, err
	}
	return restoreIdentity(name, seeds, statement.Marshal())
}

// restoreIdentity joins the parts of an identity, which must fit together.
func restoreIdentity(name string, seeds account.KeySeeds, statement []byte) (*identity, error) {
	key, err := seeds.SigningKey()
	if err != nil {
		return nil, err
	}
	self, err := ParseOwner(statement)
	if err != nil {
		return nil, err
	}
	id, err := pq3.NewIdentity(self, key)
	if err != nil {
		return nil, err
	}
	return &identity{Identity: id, name: name, seeds: seeds, statement: statement}, nil
}

// ParseOwner reads the first statement of a roster and verifies it. Its one
// device is the party.
func ParseOwner(statement []byte) (account.Party, error) {
	parsed, err := account.ParseStatement(statement)
	if err != nil {
		return account.Party{}, err
	}
	roster, err := account.StartRoster(parsed)
	if err != nil {
		return account.Party{}, err
	}
	return account.Party{Account: roster.ID(), Device: roster.Devices()[0]}, nil
}

// Record is what a device publishes and the server hands out: its name, the
// statement that made its account, and its newest prekey bundle. All of it is
// public.
type Record struct {
	Name      string
	Statement []byte
	Bundle    []byte
}

const (
	maxName   = 255
	maxRecord = account.MaxStatement
)

// Marshal is v16(name) ‖ v32(statement) ‖ v32(bundle).
func (r *Record) Marshal() []byte {
	b := codec.AppendV16(nil, []byte(r.Name))
	b = codec.AppendV32(b, r.Statement)
	return codec.AppendV32(b, r.Bundle)
}

// ParseRecord reads a record. It verifies nothing.
func ParseRecord(b []byte) (*Record, error) {
	r := codec.NewReader(b)
	rec := &Record{Name: string(r.V16(maxName)), Statement: r.V32(maxRecord), Bundle: r.V32(maxRecord)}
	if !r.Done() {
		return nil, suite.Refuse("level3", suite.ErrMalformed, "not a device's record")
	}
	return rec, nil
}

// millis is a time as the wire has it.
func millis(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }

func instant(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }
