package log

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// Records is the part of the server's store that the log needs; see its
// contract for CAS and Scan.
type Records interface {
	Get(ctx context.Context, key string) (val []byte, ver uint64, err error)
	CAS(ctx context.Context, key string, want uint64, val []byte) (ver uint64, err error)
	Scan(ctx context.Context, prefix, after string, max int) ([]store.Entry, error)
}

// The records, all under one prefix:
//
//	kt/epoch/N       entry N of R, v16 ‖ u32 count ‖ count × update (69 bytes), and v32 text if the entry begins a policy
//	kt/head          u64 size ‖ u64 published (ms) ‖ v32 checkpoint of R, a signed note that meets the policy
//	kt/label/NAME    u32 count × version, see versionRecord
//	kt/policy        the policy that entry 0 names
//	kt/bridge/N      in the form of kt/head: the checkpoint that vouches for policy N by the policy before it
//	kt/secret        the keys of the log, where several nodes share the store
//	kt/adopted       empty: the accounts from before the log are in it
//
// Epochs and bridges have 16 hexadecimal digits, so that they are scanned in order.
const (
	epochPrefix = "kt/epoch/"
	headKey     = "kt/head"
	labelPrefix = "kt/label/"
	policyKey   = "kt/policy" // the text that the log began with
	bridgeKeys  = "kt/bridge/"
	secretKey   = "kt/secret"
	adoptedKey  = "kt/adopted"
)

// maxBatch bounds the updates of one epoch, and so its record: 276 KiB.
const maxBatch = 4000

// ErrRecord means that a record of the log is damaged, or that the records
// contradict each other.
var ErrRecord = errors.New("log: a record of the transparency log cannot be read; run posthornd check")

func epochKey(n uint64) string { return fmt.Sprintf("%s%016x", epochPrefix, n) }

func bridgeKey(policy uint32) string { return fmt.Sprintf("%s%016x", bridgeKeys, policy) }

func labelKey(name account.Name) string { return labelPrefix + string(name) }

// epochRecord is one entry of R with what it adds to U. Entry 0 is the config.
type epochRecord struct {
	entry   []byte
	updates []kt.Update
	policy  []byte // the text of a policy that the entry is the first to name; empty: it names the one before
}

func (e epochRecord) marshal() []byte {
	b := codec.AppendV16(nil, e.entry)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.updates)))
	for _, u := range e.updates {
		b = append(b, u.Marshal()...)
	}
	if len(e.policy) > 0 {
		b = codec.AppendV32(b, e.policy)
	}
	return b
}

func parseEpoch(b []byte) (e epochRecord, err error) {
	r := codec.NewReader(b)
	e.entry = r.V16(1024)
	count := r.U32()
	if count > maxBatch || r.Len() < int(count)*kt.UpdateSize {
		return epochRecord{}, ErrRecord
	}
	for range count {
		u, err := kt.ParseUpdate(r.Bytes(kt.UpdateSize))
		if err != nil {
			return epochRecord{}, ErrRecord
		}
		e.updates = append(e.updates, u)
	}
	if !r.Failed() && r.Len() > 0 {
		if e.policy = r.V32(kt.MaxPolicy); len(e.policy) == 0 {
			return epochRecord{}, ErrRecord
		}
	}
	if !r.Done() {
		return epochRecord{}, ErrRecord
	}
	return e, nil
}

// headRecord is the newest checkpoint that was published, whichever node did it.
type headRecord struct {
	size       uint64
	published  uint64 // ms
	checkpoint []byte
}

func (h headRecord) marshal() []byte {
	b := binary.BigEndian.AppendUint64(nil, h.size)
	b = binary.BigEndian.AppendUint64(b, h.published)
	return codec.AppendV32(b, h.checkpoint)
}

func parseHead(b []byte) (h headRecord, err error) {
	r := codec.NewReader(b)
	h.size = r.U64()
	h.published = r.U64()
	if h.checkpoint = r.V32(kt.MaxCheckpoint); !r.Done() {
		return headRecord{}, ErrRecord
	}
	return h, nil
}

// versionRecord is one logged version of a name, or one that was about to be
// logged: the map says which. When the account was deleted the opening is zero,
// and nothing tells any more what the commitment is of.
type versionRecord struct {
	version    uint32
	before     kt.Value
	commitment kt.Commitment
	opening    kt.Opening
	record     kt.Record // but the name, which the key has
}

const versionSize = 4 + 32 + 32 + 16 + 48 + 8 + 48

func (v versionRecord) value() kt.Value { return kt.Chain(v.version, v.before, v.commitment) }

// covers reports whether nothing is left to log of a record: it is this one, or
// an earlier state of the same account, brought by a call that others overtook.
// The log never goes back to that: who met the name then would be given devices
// that were removed.
func (v *versionRecord) covers(r kt.Record) bool {
	return v.record == r || v.record.Account == r.Account && v.record.Seq > r.Seq
}

type labelRecord []versionRecord

func (l labelRecord) marshal() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(l)))
	for _, v := range l {
		b = binary.BigEndian.AppendUint32(b, v.version)
		b = append(b, v.before[:]...)
		b = append(b, v.commitment[:]...)
		b = append(b, v.opening[:]...)
		b = append(b, v.record.Account[:]...)
		b = binary.BigEndian.AppendUint64(b, v.record.Seq)
		b = append(b, v.record.Head[:]...)
	}
	return b
}

func parseLabel(name account.Name, b []byte) (l labelRecord, err error) {
	r := codec.NewReader(b)
	if count := r.U32(); r.Failed() || r.Len() != int(count)*versionSize {
		return nil, ErrRecord
	}
	for r.Len() > 0 {
		v := versionRecord{version: r.U32(), record: kt.Record{Name: name}}
		r.Copy(v.before[:])
		r.Copy(v.commitment[:])
		r.Copy(v.opening[:])
		r.Copy(v.record.Account[:])
		v.record.Seq = r.U64()
		r.Copy(v.record.Head[:])
		l = append(l, v)
	}
	return l, nil
}

// ending is the version whose chain ends in a value, or nil.
func (l labelRecord) ending(value kt.Value) *versionRecord {
	for i := range l {
		if l[i].value() == value {
			return &l[i]
		}
	}
	return nil
}

// since are the versions from one on that lead to a value, oldest first. false:
// they are not all there.
func (l labelRecord) since(version uint32, value kt.Value) (list []versionRecord, ok bool) {
	ends := l.byValue()
	for at := ends[value]; at != nil && !ok; at = ends[at.before] {
		list, ok = append(list, *at), at.version <= version
	}
	slices.Reverse(list)
	return list, ok
}

// byValue finds versions by the value that their chain ends in.
func (l labelRecord) byValue() map[kt.Value]*versionRecord {
	ends := make(map[kt.Value]*versionRecord, len(l))
	for i := range l {
		ends[l[i].value()] = &l[i]
	}
	return ends
}

// without drops attempts that another version has overtaken.
func (l labelRecord) without(last *versionRecord) (kept labelRecord) {
	good, ends := map[kt.Value]bool{}, l.byValue()
	for at := last; at != nil; at = ends[at.before] {
		good[at.value()] = true
	}
	for _, v := range l {
		if last == nil || v.version > last.version || good[v.value()] {
			kept = append(kept, v)
		}
	}
	return kept
}

// CheckRecord reads one record of the log as this package would, and says what
// is wrong with it without naming anybody.
func CheckRecord(key string, value []byte) error {
	var err error
	switch {
	case strings.HasPrefix(key, epochPrefix):
		if !numbered(key, epochPrefix) {
			return ErrRecord
		}
		_, err = parseEpoch(value)
	case strings.HasPrefix(key, bridgeKeys):
		if !numbered(key, bridgeKeys) {
			return ErrRecord
		}
		_, err = parseHead(value)
	case key == headKey:
		_, err = parseHead(value)
	case strings.HasPrefix(key, labelPrefix):
		name, bad := account.ParseName(key[len(labelPrefix):])
		if bad != nil {
			return ErrRecord
		}
		_, err = parseLabel(name, value)
	case key == secretKey:
		_, err = parseKeys(value)
	case key == policyKey && len(value) > 0 && len(value) <= kt.MaxPolicy:
	case key == adoptedKey && len(value) == 0:
	default:
		return ErrRecord
	}
	return err
}

// numbered reports whether a prefix and sixteen hexadecimal digits are a key.
func numbered(key, prefix string) bool {
	_, err := strconv.ParseUint(key[len(prefix):], 16, 64)
	return err == nil && len(key) == len(prefix)+16
}
