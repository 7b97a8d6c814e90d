package transport

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/invite"
)

// renewBefore is how long before its end a token is replaced, so that none
// runs out between the check and the server.
const renewBefore = time.Minute

// token is a bearer token and when to stop using it. The server says both when
// it ends and, with the challenge, what time it is, so the token's life is
// measured here as elapsed time: a clock that is wrong or jumps costs no logins.
type token struct {
	text string
	ends time.Time
}

func (t token) usable(now time.Time) bool {
	return t.text != "" && now.Before(t.ends.Add(-renewBefore))
}

// Register binds a free name to a new account and opens the device's mailbox.
// It may be repeated with the same keys after a lost answer. The errors to
// expect are ErrNameTaken, ErrDenied (an invite is needed) and ErrOffline.
func (c *Client) Register(ctx context.Context, name account.Name, statement0, bundle []byte) error {
	return c.register(ctx, &posthornv1.RegisterRequest{Name: string(name), Statement: statement0, Bundle: bundle})
}

// RegisterInvited is Register with the token of an invite. ErrDenied then says
// that the invite is no good.
func (c *Client) RegisterInvited(ctx context.Context, name account.Name, token invite.Token, statement0, bundle []byte) error {
	return c.register(ctx, &posthornv1.RegisterRequest{Name: string(name), Statement: statement0, Bundle: bundle, Invite: token.Text()})
}

func (c *Client) register(ctx context.Context, request *posthornv1.RegisterRequest) error {
	proof, asked, err := c.prove(ctx)
	if err != nil {
		return err
	}
	request.Proof = proof
	answer, err := call(ctx, c.directory.Register, request)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = asked.token(answer.GetToken(), answer.GetExpiresAt())
	return nil
}

// Reach tells whether the server answers at all, without authenticating.
func (c *Client) Reach(ctx context.Context) error {
	_, err := call(ctx, c.auth.GetChallenge, &posthornv1.GetChallengeRequest{})
	return err
}

// moment is one instant by the server's clock and by elapsed time here.
type moment struct{ server, here time.Time }

// token is what the server gave out just after the moment.
func (m moment) token(text string, expiresAt uint64) token {
	return token{text: text, ends: m.here.Add(time.UnixMilli(int64(expiresAt)).Sub(m.server))}
}

// prove signs a fresh challenge with both device keys, for this server only,
// and says when the server made the challenge.
func (c *Client) prove(ctx context.Context) (*posthornv1.Proof, moment, error) {
	asked := moment{here: time.Now()}
	answer, err := call(ctx, c.auth.GetChallenge, &posthornv1.GetChallengeRequest{})
	if err != nil {
		return nil, moment{}, err
	}
	asked.server = time.UnixMilli(int64(answer.GetExpiresAt())).Add(-api.ChallengeLife)
	challenge := answer.GetChallenge()
	if len(challenge) != api.ChallengeSize {
		return nil, moment{}, &Error{Err: ErrServer, Reason: "challenge of a wrong length"}
	}
	d := c.device
	signed := api.AuthBytes(c.audience, challenge, d.Account, d.ID)
	signature, err := d.Key.SignHybrid(d.Rand, signed, api.AuthContext)
	if err != nil {
		return nil, moment{}, err
	}
	return &posthornv1.Proof{
		AccountId: d.Account[:], DeviceId: d.ID[:], Challenge: challenge,
		EcdsaSignature: signature.ECDSA[:], MldsaSignature: signature.MLDSA[:],
	}, asked, nil
}

// authenticate trades a proof for a token.
func (c *Client) authenticate(ctx context.Context) (token, error) {
	proof, asked, err := c.prove(ctx)
	if err != nil {
		return token{}, err
	}
	seat, err := c.claim(ctx)
	if err != nil {
		return token{}, err
	}
	answer, err := call(ctx, c.auth.Authenticate, &posthornv1.AuthenticateRequest{Proof: proof, Seat: seat})
	if err != nil {
		if refused, ok := errors.AsType[*Error](err); ok && refused.Err == ErrCloned && seat != nil {
			err = errors.Join(err, c.device.Seat.Behind(ctx, refused.Ahead))
		}
		return token{}, err
	}
	if seat != nil {
		if err := c.device.Seat.Taken(ctx, answer.GetCopied()); err != nil {
			return token{}, err
		}
	}
	return asked.token(answer.GetToken(), answer.GetExpiresAt()), nil
}

// claim is what a login says of the device's seat.
func (c *Client) claim(ctx context.Context) (*posthornv1.Seat, error) {
	if c.device.Seat == nil {
		return nil, nil
	}
	number, value, next, err := c.device.Seat.Claim(ctx)
	if err != nil {
		return nil, err
	}
	signature, err := c.device.Key.SignECDSA(c.device.Rand, api.SeatBytes(c.device.Account, c.device.ID, number, value, next))
	if err != nil {
		return nil, err
	}
	seat := &posthornv1.Seat{Number: number, Next: next[:], Signature: signature[:]}
	if number > 0 {
		seat.Value = value[:]
	}
	return seat, nil
}

// bearer returns a context whose calls carry a token that is good now.
func (c *Client) bearer(ctx context.Context) (context.Context, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.token.usable(time.Now()) {
		fresh, err := c.authenticate(ctx)
		if err != nil {
			return nil, "", err
		}
		c.token = fresh
	}
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+c.token.text)
	return ctx, c.token.text, nil
}

// discard forgets a token that the server refused, unless another call has
// replaced it already.
func (c *Client) discard(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token.text == text {
		c.token = token{}
	}
}

// authorized makes a call with a token, and once more with a new one when the
// server has forgotten the first, as it does when it restarts.
func authorized[Q, A any](ctx context.Context, c *Client, f func(context.Context, Q) (A, error), request Q) (A, error) {
	for first := true; ; first = false {
		var none A
		carrying, used, err := c.bearer(ctx)
		if err != nil {
			return none, err
		}
		answer, err := call(carrying, f, request)
		if !first || !errors.Is(err, ErrUnauthenticated) {
			return answer, err
		}
		c.discard(used)
	}
}
