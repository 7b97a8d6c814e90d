package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// User is what the operator sees of an account.
type User struct {
	Name     account.Name
	Account  account.ID
	Devices  int
	Queued   uint64 // envelopes that wait for its devices
	Disabled bool   // some device of it is shut out
}

// ErrNoUser says that no account has the name, or that it was deleted.
var ErrNoUser = errors.New("server: no such user")

// errDeleted is a record of an account that the operator has deleted: it is
// there to keep its name from others, and answers as if it were not.
var errDeleted = fmt.Errorf("server: deleted by the operator: %w", store.ErrNotFound)

// ErrDisabled says that the operator has shut an account out.
var ErrDisabled = errors.New("server: account disabled")

func accountDisabled() error {
	return refusal{
		code: connect.CodePermissionDenied, reason: api.ReasonAccountDisabled, text: "the operator has disabled this account",
		hint: "ask the operator; what others send is kept until the account is enabled or its time runs out",
	}.err(reject.New("V-155", ErrDisabled, ""))
}

// usersPage is how many accounts are listed at a time.
const usersPage = 256

// Users lists accounts in the order of their ids, from the one above after, of
// which the empty text is the first. next is where to go on, empty at the end.
func (srv *Server) Users(ctx context.Context, after string) (users []User, next string, err error) {
	const prefix = "account/"
	d := srv.auth.directory
	page, err := d.store.Scan(ctx, prefix, prefix+after, usersPage)
	if err != nil {
		return nil, "", err
	}
	for _, e := range page {
		u, listed, err := srv.user(ctx, e.Key[len(prefix):], e.Val)
		if err != nil {
			return nil, "", err
		}
		if listed {
			users = append(users, u)
		}
	}
	if len(page) == usersPage {
		next = page[len(page)-1].Key[len(prefix):]
	}
	return users, next, nil
}

// user reads one account. An account that never got its name, and one that was
// deleted, is not listed.
func (srv *Server) user(ctx context.Context, idText string, value []byte) (u User, listed bool, err error) {
	d := srv.auth.directory
	r, err := parseAccountRecord(value)
	raw, bad := hex.DecodeString(idText)
	if err != nil || bad != nil || copy(u.Account[:], raw) != len(u.Account) {
		return u, false, errRecord
	}
	holder, _, err := d.accountByName(ctx, r.name)
	if errors.Is(err, store.ErrNotFound) || err == nil && holder != u.Account {
		return u, false, nil
	}
	if err != nil {
		return u, false, err
	}
	u.Name = r.name
	err = d.eachDevice(ctx, u.Account, func(device account.DeviceID, r deviceRecord) error {
		u.Devices++
		msgs, head, err := d.store.Read(ctx, r.box, 0, 1, 1)
		if err != nil && !errors.Is(err, store.ErrGone) {
			return err
		}
		if len(msgs) > 0 {
			u.Queued += head + 1 - msgs[0].Seq // numbers have no gaps
		}
		logins, _, err := readLogins(ctx, d.store, r.box)
		u.Disabled = u.Disabled || logins.closed
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return err
	})
	if errors.Is(err, errDeleted) { // just now
		return u, false, nil
	}
	return u, err == nil, err
}

// eachDevice calls visit for the record of each device of an account. Devices
// that are deleted are passed over.
func (d *directory) eachDevice(ctx context.Context, id account.ID, visit func(account.DeviceID, deviceRecord) error) error {
	roster, err := d.roster(ctx, id)
	if err != nil {
		return err
	}
	for _, device := range roster.Devices() {
		r, _, err := d.device(ctx, id, device.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := visit(device.ID, r); err != nil {
			return err
		}
	}
	return nil
}

// named finds the account that the operator means. ErrNoUser.
func (srv *Server) named(ctx context.Context, name account.Name) (account.ID, error) {
	id, _, err := srv.auth.directory.accountByName(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return id, ErrNoUser
	}
	return id, err
}

// Disable shuts an account out: its tokens are void, its streams end, it gets
// no new token. At other nodes of the same server that takes up to half a
// minute. Its name, keys and mailboxes stay, and others can write to it, so
// that Enable loses nothing. Doing it again finishes what was interrupted.
// ErrNoUser.
func (srv *Server) Disable(ctx context.Context, name account.Name) error {
	id, err := srv.named(ctx, name)
	if err != nil {
		return err
	}
	return srv.auth.directory.settled(ctx, id, func() error {
		return srv.auth.directory.eachDevice(ctx, id, func(device account.DeviceID, r deviceRecord) error {
			return srv.shutOut(ctx, caller{id, device, r.box})
		})
	})
}

// settled calls f until the account's roster did not change meanwhile, so that
// no device that was being added escapes what f does.
func (d *directory) settled(ctx context.Context, id account.ID, f func() error) error {
	for {
		_, before, err := d.account(ctx, id)
		if err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
		_, after, err := d.account(ctx, id)
		if err != nil || before == after {
			return err
		}
	}
}

// shutOut keeps a device from logging in and ends what it has open. The record
// decides, at every node: where it cannot be written nothing else is done. What
// is remembered of it goes in any case, for after an error it may be written.
func (srv *Server) shutOut(ctx context.Context, who caller) error {
	return srv.shut(ctx, who, false)
}

// expel is shutOut of a device that its account has removed, with its mailbox
// and everything that waits there. Doing it again finishes what was
// interrupted.
func (srv *Server) expel(ctx context.Context, who caller) error {
	if err := srv.shut(ctx, who, true); err != nil {
		return err
	}
	if err := srv.store.Drop(ctx, who.box); err != nil && !errors.Is(err, store.ErrNoBox) {
		return err
	}
	return srv.auth.directory.entomb(ctx, deviceKey(who.account, who.device), nil)
}

func (srv *Server) shut(ctx context.Context, who caller, removed bool) error {
	err := changeLogins(ctx, srv.store, srv.store.CAS, who, func(r *loginRecord) error {
		r.closed, r.removed, r.tokens = true, r.removed || removed, nil
		return nil
	})
	srv.auth.tokens.askAgain(who.box)
	if err != nil {
		return err
	}
	srv.access.live.end(who.box)
	return nil
}

// Enable lets a disabled account log in again. ErrNoUser.
func (srv *Server) Enable(ctx context.Context, name account.Name) error {
	id, err := srv.named(ctx, name)
	if err != nil {
		return err
	}
	return srv.auth.directory.eachDevice(ctx, id, func(device account.DeviceID, r deviceRecord) error {
		return changeLogins(ctx, srv.store, srv.store.CAS, caller{id, device, r.box}, func(r *loginRecord) error {
			r.closed = false
			return nil
		})
	})
}

// Delete removes an account for good: its devices are shut out, its mailboxes
// and their content dropped, its attachments, bundles and roster removed. The
// name and the account's id remain as a marker, so that nobody else can take the
// name: people who know the account by its name would write to a stranger. What is
// interrupted is finished by calling it again; on an account that is deleted
// it does nothing more. The log then shows that the account is gone, and nothing
// else that anybody could read. ErrNoUser for a name that nobody ever had.
func (srv *Server) Delete(ctx context.Context, name account.Name) error {
	d := srv.auth.directory
	id, _, err := d.accountByName(ctx, name)
	switch {
	case errors.Is(err, errDeleted):
		return errors.Join(srv.dropDevices(ctx, id), srv.forget(ctx, name, id))
	case errors.Is(err, store.ErrNotFound):
		return ErrNoUser
	case err != nil:
		return err
	}
	if err := srv.remove(ctx, id, name); err != nil {
		return err
	}
	return srv.forget(ctx, name, id)
}

// remove deletes the devices of an account, its files, and then its roster; again
// if the roster changed meanwhile. A device that is just being added may have its
// record and not be on the roster yet: if the record is there before the marker
// is, the look after it finds it, and if not, UpdateRoster finds the marker.
func (srv *Server) remove(ctx context.Context, id account.ID, name account.Name) error {
	d := srv.auth.directory
	for {
		_, version, err := d.account(ctx, id)
		if errors.Is(err, errDeleted) {
			return srv.dropDevices(ctx, id)
		}
		if err != nil {
			return err
		}
		if err := srv.dropDevices(ctx, id); err != nil {
			return err
		}
		if err := srv.files.forgetAll(ctx, id); err != nil {
			return err
		}
		_, err = d.store.CAS(ctx, accountKey(id), version, accountRecord{name: name}.marshal())
		if err == nil {
			return srv.dropDevices(ctx, id)
		}
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}

// dropDevices shuts out every device that has a record under an account, on its
// roster or not, and deletes what it has.
func (srv *Server) dropDevices(ctx context.Context, id account.ID) error {
	d := srv.auth.directory
	prefix := deviceKey(id, account.DeviceID{})
	prefix = prefix[:len(prefix)-len(account.DeviceID{}.String())]
	return d.each(ctx, prefix, func(key string, value []byte) error {
		if len(value) == 0 {
			return nil // deleted already
		}
		var device account.DeviceID
		raw, err := hex.DecodeString(key[len(prefix):])
		if err != nil || copy(device[:], raw) != len(device) {
			return errRecord
		}
		r, err := parseDeviceRecord(value)
		if err != nil {
			return err
		}
		if err := srv.shutOut(ctx, caller{id, device, r.box}); err != nil {
			return err
		}
		if err := srv.store.Drop(ctx, r.box); err != nil && !errors.Is(err, store.ErrNoBox) {
			return err
		}
		return d.entomb(ctx, key, nil)
	})
}

// entomb puts a marker in the place of a record.
func (d *directory) entomb(ctx context.Context, key string, marker []byte) error {
	for {
		_, version, err := d.store.Get(ctx, key)
		if err != nil {
			return err
		}
		_, err = d.store.CAS(ctx, key, version, marker)
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}
