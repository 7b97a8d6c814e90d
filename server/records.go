package server

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/store"
)

// The directory is three kinds of records in the store's compare-and-swap
// space:
//
//	name/NAME                 account id (48)
//	account/ACCOUNT           v16(name) ‖ u16 count ‖ count × v32(statement) [ ‖ u64 held until (ms) ]
//	device/ACCOUNT/DEVICE     box[16] ‖ u64 last seen (ms) ‖ v32(bundle)
//
// An account that was deleted has no statements, and its devices' records are
// empty, as are those of devices that were removed from the roster. A name belongs to an account when both records name each other. enrol.go says
// in which order they are written.

func nameKey(name account.Name) string { return "name/" + string(name) }

func accountKey(id account.ID) string { return "account/" + id.String() }

func deviceKey(id account.ID, device account.DeviceID) string {
	return "device/" + id.String() + "/" + device.String()
}

// accountRecord is an account as the directory has it.
type accountRecord struct {
	name       account.Name
	statements [][]byte
	heldUntil  uint64 // ms; 0: never held
}

func (r accountRecord) marshal() []byte {
	b := codec.AppendV16(nil, []byte(r.name))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.statements)))
	for _, s := range r.statements {
		b = codec.AppendV32(b, s)
	}
	if r.heldUntil > 0 {
		b = binary.BigEndian.AppendUint64(b, r.heldUntil)
	}
	return b
}

func parseAccountRecord(b []byte) (r accountRecord, err error) {
	reader := codec.NewReader(b)
	r.name = account.Name(reader.V16(64))
	for n := reader.U16(); n > 0 && !reader.Failed(); n-- {
		r.statements = append(r.statements, reader.V32(account.MaxStatement))
	}
	if reader.Len() > 0 {
		if r.heldUntil = reader.U64(); r.heldUntil == 0 {
			return r, errRecord
		}
	}
	if !reader.Done() {
		return r, errRecord
	}
	return r, nil
}

// deviceRecord is a device's mailbox and its newest bundle.
type deviceRecord struct {
	box      store.Box
	lastSeen uint64 // ms
	bundle   []byte
}

func (r deviceRecord) marshal() []byte {
	b := append([]byte(nil), r.box[:]...)
	b = binary.BigEndian.AppendUint64(b, r.lastSeen)
	return codec.AppendV32(b, r.bundle)
}

func parseDeviceRecord(b []byte) (r deviceRecord, err error) {
	reader := codec.NewReader(b)
	reader.Copy(r.box[:])
	r.lastSeen = reader.U64()
	r.bundle = reader.V32(account.BundleSize)
	if !reader.Done() {
		return r, errRecord
	}
	return r, nil
}

// errRecord means that a directory record is damaged.
var errRecord = errors.New("server: a directory record cannot be read; run posthornd check")

// directory reads and writes these records.
type directory struct {
	store store.Store

	mu      sync.Mutex
	rosters map[account.ID]cachedRoster

	addresses addresses
	fetches   *fetches

	log     *ktlog.Log  // of all names; nil: there is none
	adopted atomic.Bool // every account is in it
}

// cachedRoster saves the two signature checks of a replay at every login.
type cachedRoster struct {
	version uint64
	roster  *account.Roster
}

const maxCachedRosters = 4096

func newDirectory(s store.Store) *directory {
	return &directory{
		store: s, rosters: map[account.ID]cachedRoster{},
		addresses: addresses{known: map[deviceName]mailboxAddress{}, numbers: map[account.ID]rosterNumber{}},
		fetches:   newFetches(DefaultLimits().PairBundles),
	}
}

// accountByName follows a name to its account. A name whose registration was
// never finished, or lost a race, names nobody.
func (d *directory) accountByName(ctx context.Context, name account.Name) (id account.ID, r accountRecord, err error) {
	value, _, err := d.store.Get(ctx, nameKey(name))
	if err != nil {
		return id, r, err
	}
	if copy(id[:], value) != len(id) {
		return id, r, errRecord
	}
	r, _, err = d.account(ctx, id)
	if (err == nil || errors.Is(err, errDeleted)) && r.name != name {
		err = store.ErrNotFound
	}
	return id, r, err
}

// account reads the record of an account. errDeleted, with the name, for the
// marker of one that was deleted.
func (d *directory) account(ctx context.Context, id account.ID) (accountRecord, uint64, error) {
	value, version, err := d.store.Get(ctx, accountKey(id))
	if err != nil {
		return accountRecord{}, 0, err
	}
	r, err := parseAccountRecord(value)
	if err == nil && len(r.statements) == 0 {
		err = errDeleted
	}
	return r, version, err
}

// roster is the verified roster of an account.
func (d *directory) roster(ctx context.Context, id account.ID) (*account.Roster, error) {
	record, version, err := d.account(ctx, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	cached, ok := d.rosters[id]
	d.mu.Unlock()
	if ok && cached.version == version {
		return cached.roster, nil
	}
	roster, err := account.ReplayRoster(record.statements)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.rosters) >= maxCachedRosters {
		clear(d.rosters)
	}
	d.rosters[id] = cachedRoster{version, roster}
	return roster, nil
}

// scanPage is how many records are listed at a time.
const scanPage = 256

// each calls visit for every record whose key begins with prefix, in order.
func (d *directory) each(ctx context.Context, prefix string, visit func(key string, value []byte) error) error {
	for after := ""; ; {
		page, err := d.store.Scan(ctx, prefix, after, scanPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := visit(e.Key, e.Val); err != nil {
				return err
			}
			after = e.Key
		}
		if len(page) < scanPage {
			return nil
		}
	}
}

func (d *directory) device(ctx context.Context, id account.ID, device account.DeviceID) (deviceRecord, uint64, error) {
	value, version, err := d.store.Get(ctx, deviceKey(id, device))
	if err != nil {
		return deviceRecord{}, 0, err
	}
	if len(value) == 0 {
		return deviceRecord{}, 0, errDeleted
	}
	r, err := parseDeviceRecord(value)
	return r, version, err
}

// changeDevice applies a change to a device record until no other writer comes
// in between. The change may refuse. set is the store's CAS, or Note.
func (d *directory) changeDevice(ctx context.Context, set setter, id account.ID, device account.DeviceID, change func(*deviceRecord) error) error {
	for {
		r, version, err := d.device(ctx, id, device)
		if err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		_, err = set(ctx, deviceKey(id, device), version, r.marshal())
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}

// errOlder refuses to go back to an earlier bundle, whose private key may have
// leaked since.
var errOlder error = reject.New("V-84", ErrUpload, "older than the stored bundle")

// replaceBundle publishes a verified bundle in place of an older one. errOlder.
func (d *directory) replaceBundle(ctx context.Context, id account.ID, device account.DeviceID, b *account.Bundle) error {
	return d.changeDevice(ctx, d.store.CAS, id, device, func(r *deviceRecord) error {
		if present, err := account.ParseBundle(r.bundle); err == nil && b.NotBefore < present.NotBefore {
			return errOlder
		}
		r.bundle = b.Marshal()
		return nil
	})
}

// dayOf is the day of a time, in milliseconds: all that is kept of when a
// device was seen.
func dayOf(now time.Time) uint64 { return uint64(now.UTC().Truncate(24 * time.Hour).UnixMilli()) }
