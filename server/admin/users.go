package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/server"
)

// User is one line of the list of users.
type User struct {
	Name      account.Name `json:"name"`
	AccountID string       `json:"account_id"`
	Devices   int          `json:"devices"`
	Queued    uint64       `json:"queued"`
	Disabled  bool         `json:"disabled"`
}

// Users is a page of the list.
type Users struct {
	Users []User `json:"users"`
	Next  string `json:"next"` // what the next page is asked for with; empty: this is the last
}

func (d *Desk) listUsers(w http.ResponseWriter, r *http.Request) error {
	found, next, err := d.srv.Users(r.Context(), r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	page := Users{Users: make([]User, len(found)), Next: next}
	for i, u := range found {
		page.Users[i] = User{u.Name, u.Account.String(), u.Devices, u.Queued, u.Disabled}
	}
	return reply(w, page)
}

// changeUser answers for a command about one user.
func (d *Desk) changeUser(change func(context.Context, account.Name) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, err := account.ParseName(r.PathValue("name"))
		if err != nil {
			return &Error{KindRefused, "this is not a name, nothing was done", "a name has 3 to 32 characters of a-z, 0-9, '.', '_' and '-'"}
		}
		err = change(r.Context(), name)
		if errors.Is(err, server.ErrNoUser) {
			return &Error{KindRefused, "nobody has this name, nothing was done", "'posthornd user list' shows the names"}
		}
		if err != nil {
			return err
		}
		return reply(w, struct{}{})
	}
}
