package level3

import (
	"errors"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// refusal turns an error of pq3 or account into one of the face, which wraps
// it: the id of the check that refused stays readable.
func (l *Level3) refusal(err error) error {
	var own *suite.Error
	if errors.As(err, &own) {
		return err
	}
	return &suite.Error{Level: l.Name(), Err: sentinel(err), Detail: "refused by pq3", Cause: err}
}

func sentinel(err error) error {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(pq3.ErrMalformed, pq3.ErrSkipLimit):
		return suite.ErrMalformed
	case is(pq3.ErrSignature, pq3.ErrSuite, pq3.ErrIdentity):
		return suite.ErrSignature
	case is(pq3.ErrReplay):
		return suite.ErrReplay
	case is(pq3.ErrObjectsMissing):
		return suite.ErrWaiting
	case is(pq3.ErrBundle, pq3.ErrFreshness, pq3.ErrPrekeyUnknown):
		return suite.ErrPrekey
	case is(pq3.ErrLimit, pq3.ErrNewSessionNeeded, pq3.ErrTooLarge):
		return suite.ErrLimit
	case is(pq3.ErrState, pq3.ErrPolicy):
		return suite.ErrState
	case is(pq3.ErrUndecryptable, pq3.ErrHeader, pq3.ErrRekeyMissing, pq3.ErrSessionUnknown):
		return suite.ErrUndecryptable
	}
	return suite.ErrMalformed // of package account: a record that is none
}
