package server

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/posthorn/posthorn/account"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/store"
)

// CheckRecord reads one directory record as the server would, and says what is
// wrong with it without naming anybody. It verifies the signatures of rosters;
// those of bundles are for whoever fetches them.
func CheckRecord(key string, value []byte) error {
	kind, id, _ := strings.Cut(key, "/")
	switch kind {
	case "name":
		return checkName(id, value)
	case "account":
		return checkAccount(id, value)
	case "device":
		return checkDevice(value)
	case "login":
		return checkLogins(id, value)
	case "invite":
		return checkInvite(id, value)
	case "cluster":
		return checkCluster(id, value)
	case "uploads":
		return checkUploads(value)
	case "pairing":
		return checkPairings(value)
	case "kt":
		if ktlog.CheckRecord(key, value) != nil {
			return errors.New("a record of the transparency log cannot be read")
		}
		return nil
	default:
		return errors.New("a record of an unknown kind")
	}
}

func checkName(name string, value []byte) error {
	if _, err := account.ParseName(name); err != nil || len(value) != len(account.ID{}) {
		return errors.New("a name's record cannot be read")
	}
	return nil
}

func checkAccount(id string, value []byte) error {
	r, err := parseAccountRecord(value)
	if err != nil {
		return errors.New("an account's record cannot be read")
	}
	if len(r.statements) == 0 { // the marker of an account that was deleted
		if _, err := account.ParseName(string(r.name)); err != nil {
			return errors.New("a deleted account's record cannot be read")
		}
		return nil
	}
	roster, err := account.ReplayRoster(r.statements)
	if err != nil {
		return errors.New("an account's roster is not valid")
	}
	if roster.ID().String() != id {
		return errors.New("an account's record lies under another id")
	}
	return nil
}

func checkDevice(value []byte) error {
	if len(value) == 0 { // the marker of a device that was deleted
		return nil
	}
	r, err := parseDeviceRecord(value)
	if err != nil {
		return errors.New("a device's record cannot be read")
	}
	if _, err := account.ParseBundle(r.bundle); err != nil {
		return errors.New("a device's bundle is not valid")
	}
	return nil
}

func checkLogins(box string, value []byte) error {
	_, err := parseLoginRecord(value)
	if raw, bad := hex.DecodeString(box); err != nil || bad != nil || len(raw) != len(store.Box{}) {
		return errors.New("a record of logins cannot be read")
	}
	return nil
}

func checkInvite(id string, value []byte) error {
	r, err := parseInviteRecord(value)
	if err != nil || string(inviteIDOf(r.hash)) != id {
		return errors.New("the record of an invite cannot be read")
	}
	return nil
}

// checkCluster reads what the nodes of a server share.
func checkCluster(what string, value []byte) error {
	err := errRecord
	switch what {
	case "keys":
		_, err = parseSharedKeys(value)
	case "incarnation":
		_, err = parseIncarnation(value)
	case "nodes":
		_, err = parseNodesRecord(value)
	case "clock":
		_, err = parseClockRecord(value)
	}
	if err != nil {
		return errors.New("a record that nodes share cannot be read")
	}
	return nil
}
