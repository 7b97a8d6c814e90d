package localdb

import (
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/posthorn/posthorn/account"
)

// Repair is what the limits on repair need to remember about one device
// (SPEC §10.6): how often something was asked of it and done for it. All times are
// milliseconds; zero is never.
type Repair struct {
	Device account.DeviceID `json:"-"`

	UnknownSentAt  uint64 // our last SessionUnknown to the device
	UnknownActedAt uint64 // the last time we acted on one of its own
	ActedDay       uint64 // the UTC day (days since 1970) that ActedCount counts
	ActedCount     int

	UndecryptableAt    uint64 // the first of the current run of undecryptable messages
	UndecryptableCount int

	AskedAt         uint64  // our last request for objects
	AskedSession    [8]byte // the chain that AskedCount counts
	AskedEpoch      uint32
	AskedCount      int
	UnansweredSince uint64 // the first request of the current unanswered run
	UnansweredCount int

	AnsweredAt      uint64  // our last answer to a request for objects
	AnsweredSession [8]byte // the chain that AnsweredCount counts
	AnsweredEpoch   uint32
	AnsweredCount   int

	HeartbeatAt uint64 // our last Rekey frame; zero once it was answered
}

// Repair returns what is remembered about a device; a device never heard of
// gives zero counters.
func (tx *Tx) Repair(device account.DeviceID) (Repair, error) {
	var record []byte
	err := tx.row("SELECT record FROM repairs WHERE device = ?", device[:]).Scan(&record)
	if errors.Is(err, sql.ErrNoRows) {
		return Repair{Device: device}, nil
	}
	if err != nil {
		return Repair{}, err
	}
	return parseRepair(device, record)
}

func parseRepair(device account.DeviceID, record []byte) (Repair, error) {
	r := Repair{Device: device}
	if json.Unmarshal(record, &r) != nil {
		return Repair{}, corrupt("a repair record")
	}
	return r, nil
}

// PutRepair stores r, replacing what was remembered.
func (tx *Tx) PutRepair(r Repair) error {
	record, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = tx.exec("INSERT INTO repairs VALUES (?, ?) ON CONFLICT DO UPDATE SET record = excluded.record", r.Device[:], record)
	return err
}
