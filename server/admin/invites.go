package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/server"
)

// InviteOrder asks for an invite.
type InviteOrder struct {
	Life    time.Duration `json:"life"`              // nanoseconds
	Address string        `json:"address,omitempty"` // what the link names; empty: what the server knows
}

// NewInvite is an invite with its link, which is shown this once.
type NewInvite struct {
	ID      server.InviteID `json:"id"`
	URL     string          `json:"url"`
	Expires time.Time       `json:"expires_at"`
}

// Invite is one line of the list of invites.
type Invite struct {
	ID      server.InviteID    `json:"id"`
	Created time.Time          `json:"created_at"`
	Expires time.Time          `json:"expires_at"`
	State   server.InviteState `json:"state"`
}

// LongestInvite bounds the life of an invite.
const LongestInvite = 365 * 24 * time.Hour

// maxOrder bounds what a command sends, in bytes.
const maxOrder = 1 << 16

func (d *Desk) createInvite(w http.ResponseWriter, r *http.Request) error {
	var order InviteOrder
	if err := json.NewDecoder(io.LimitReader(r.Body, maxOrder)).Decode(&order); err != nil {
		return &Error{KindRefused, "the order cannot be read, no invite was made", "use the posthornd that serves"}
	}
	if order.Life <= 0 || order.Life > LongestInvite {
		return &Error{KindRefused, "an invite lives for more than nothing and at most a year; none was made", "choose another time with --expires"}
	}
	link, err := d.link(order.Address)
	if err != nil {
		return err
	}
	made, token, err := d.srv.CreateInvite(r.Context(), order.Life)
	if err != nil {
		return err
	}
	link.Token = token
	return reply(w, NewInvite{made.ID, link.String(), made.Expires})
}

// link is an invite without its token: where the server is, and how its
// certificate is known if it made that itself.
func (d *Desk) link(address string) (l invite.Link, err error) {
	if address == "" {
		address = d.about.Address
	}
	if address == "" {
		return l, &Error{KindRefused, "the server does not know by which address people reach it, no invite was made", "say --address https://HOST[:PORT], or start it with --public-address"}
	}
	if l.Server, err = invite.ParseServer(address); err != nil {
		return l, &Error{KindRefused, err.Error() + "; no invite was made", "say --address https://HOST[:PORT]"}
	}
	if d.about.Pin != nil && l.Server[:5] == "https" {
		l.Pin = d.about.Pin
	}
	return l, nil
}

func (d *Desk) listInvites(w http.ResponseWriter, r *http.Request) error {
	all, err := d.srv.Invites(r.Context())
	if err != nil {
		return err
	}
	list := make([]Invite, len(all))
	for i, one := range all {
		list[i] = Invite(one)
	}
	return reply(w, list)
}

func (d *Desk) revokeInvite(w http.ResponseWriter, r *http.Request) error {
	err := d.srv.RevokeInvite(r.Context(), server.InviteID(r.PathValue("id")))
	switch {
	case errors.Is(err, server.ErrNoInvite):
		return &Error{KindRefused, "no invite has this id, nothing was done", "'posthornd invite list' shows the ids"}
	case errors.Is(err, server.ErrInviteUsed):
		return &Error{KindRefused, "an account was made with this invite already, nothing was done", "'posthornd user disable NAME' shuts an account out"}
	case err != nil:
		return err
	}
	return reply(w, struct{}{})
}
