package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/server/store"
)

// The directory has one record for each invite, under the beginning of its
// token's hash; the token itself is nowhere:
//
//	invite/ID    hash[32] ‖ u64 created (ms) ‖ u64 expires (ms) ‖ u8 state ‖ account[48]
//
// An invite is spent before the account is made, by one compare-and-swap that
// notes the account. So two people never get in with it, and one whose
// registration was interrupted may repeat it, for the note says that it is
// theirs. The account is all zero until then.

const (
	inviteOpen byte = iota
	inviteUsed
	inviteRevoked
)

const invitePrefix = "invite/"

// InviteID names an invite to the operator: 8 bytes of its token's hash, in
// hexadecimal. It opens nothing.
type InviteID string

func inviteIDOf(hash [32]byte) InviteID { return InviteID(hex.EncodeToString(hash[:8])) }

func inviteKey(id InviteID) string { return invitePrefix + string(id) }

// inviteRecord is an invite as the directory has it.
type inviteRecord struct {
	hash             [32]byte
	created, expires uint64 // ms
	state            byte
	account          account.ID // of whoever used it
}

func (r inviteRecord) marshal() []byte {
	b := append([]byte(nil), r.hash[:]...)
	b = binary.BigEndian.AppendUint64(b, r.created)
	b = binary.BigEndian.AppendUint64(b, r.expires)
	return append(append(b, r.state), r.account[:]...)
}

func parseInviteRecord(b []byte) (r inviteRecord, err error) {
	reader := codec.NewReader(b)
	reader.Copy(r.hash[:])
	r.created, r.expires, r.state = reader.U64(), reader.U64(), reader.U8()
	reader.Copy(r.account[:])
	if !reader.Done() || r.state > inviteRevoked || (r.state == inviteUsed) != (r.account != account.ID{}) {
		return inviteRecord{}, errRecord
	}
	return r, nil
}

// Invite is what the operator sees of an invite.
type Invite struct {
	ID      InviteID
	Created time.Time
	Expires time.Time
	State   InviteState
}

// InviteState says what an invite is good for.
type InviteState string

// The states. Only an open invite makes an account.
const (
	InviteOpen    InviteState = "open"
	InviteUsed    InviteState = "used"
	InviteRevoked InviteState = "revoked"
	InviteExpired InviteState = "expired"
)

func (r inviteRecord) stateAt(now time.Time) InviteState {
	switch {
	case r.state == inviteUsed:
		return InviteUsed
	case r.state == inviteRevoked:
		return InviteRevoked
	case now.UnixMilli() >= int64(r.expires):
		return InviteExpired
	}
	return InviteOpen
}

// CreateInvite makes an invite that works once within its life. The token is
// shown here and never again.
func (srv *Server) CreateInvite(ctx context.Context, life time.Duration) (Invite, invite.Token, error) {
	now := clock.Now()
	for {
		var token invite.Token
		_, _ = rand.Read(token[:])
		secret.Created("invite", token[:])
		r := inviteRecord{hash: token.Hash(), created: uint64(now.UnixMilli()), expires: uint64(now.Add(life).UnixMilli())}
		id := inviteIDOf(r.hash)
		_, err := srv.store.CAS(ctx, inviteKey(id), 0, r.marshal())
		if err == nil {
			return r.view(id, now), token, nil
		}
		if !errors.Is(err, store.ErrVersion) { // else another invite has the id
			return Invite{}, invite.Token{}, err
		}
	}
}

func (r inviteRecord) view(id InviteID, now time.Time) Invite {
	return Invite{ID: id, Created: instant(r.created), Expires: instant(r.expires), State: r.stateAt(now)}
}

func instant(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

// Invites lists every invite that was ever made, ordered by id.
func (srv *Server) Invites(ctx context.Context) (all []Invite, err error) {
	now := clock.Now()
	err = srv.auth.directory.each(ctx, invitePrefix, func(key string, value []byte) error {
		r, err := parseInviteRecord(value)
		if err == nil {
			all = append(all, r.view(InviteID(key[len(invitePrefix):]), now))
		}
		return err
	})
	return all, err
}

// Errors of RevokeInvite.
var (
	// ErrNoInvite: no invite has the id.
	ErrNoInvite = errors.New("server: no such invite")
	// ErrInviteUsed: an account was made with it already.
	ErrInviteUsed = errors.New("server: the invite has been used")
)

// RevokeInvite makes an invite useless, for good; doing it again is no error.
// ErrNoInvite, ErrInviteUsed.
func (srv *Server) RevokeInvite(ctx context.Context, id InviteID) error {
	return srv.auth.directory.changeInvite(ctx, id, func(r *inviteRecord) error {
		if r.state == inviteUsed {
			return ErrInviteUsed
		}
		r.state = inviteRevoked
		return nil
	})
}

// changeInvite applies a change to an invite until no other writer comes in
// between. ErrNoInvite, or the change's own error.
func (d *directory) changeInvite(ctx context.Context, id InviteID, change func(*inviteRecord) error) error {
	for {
		value, version, err := d.store.Get(ctx, inviteKey(id))
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoInvite
		}
		if err != nil {
			return err
		}
		r, err := parseInviteRecord(value)
		if err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		_, err = d.store.CAS(ctx, inviteKey(id), version, r.marshal())
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}

// spend makes an invite this account's, before the account is made. An account
// that has it already keeps it, even past its end. A token that never existed
// gets one answer, whatever it is.
func (d *directory) spend(ctx context.Context, text string, who account.ID, now time.Time) error {
	token, err := invite.ParseToken(text)
	if err != nil {
		return inviteUnknown()
	}
	hash := token.Hash()
	err = d.changeInvite(ctx, inviteIDOf(hash), func(r *inviteRecord) error {
		if r.hash != hash {
			return ErrNoInvite
		}
		if r.state == inviteUsed && r.account == who {
			return nil
		}
		if state := r.stateAt(now); state != InviteOpen {
			return inviteClosed(state)
		}
		r.state, r.account = inviteUsed, who
		return nil
	})
	if errors.Is(err, ErrNoInvite) {
		return inviteUnknown()
	}
	var refused *connect.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return storageFailed(err)
}

// ErrInvite says that a registration brought no good invite.
var ErrInvite = errors.New("server: invite refused")

func inviteUnknown() error {
	return refusal{
		code: connect.CodePermissionDenied, reason: api.ReasonInviteUnknown, text: "the server knows no such invite; no account was made",
		hint: "check that the link is whole, or ask the operator for another",
	}.err(reject.New("V-153", ErrInvite, "unknown"))
}

// inviteClosed refuses an invite that was good once. Its holder may know why.
func inviteClosed(state InviteState) error {
	r := refusal{code: connect.CodePermissionDenied, hint: "ask the operator for another invite"}
	switch state {
	case InviteUsed:
		r.reason, r.text = api.ReasonInviteUsed, "another account was made with this invite; no account was made now"
	case InviteRevoked:
		r.reason, r.text = api.ReasonInviteRevoked, "the operator has taken this invite back; no account was made"
	default:
		r.reason, r.text = api.ReasonInviteExpired, "the invite has run out; no account was made"
	}
	return r.err(reject.New("V-154", ErrInvite, string(state)))
}
