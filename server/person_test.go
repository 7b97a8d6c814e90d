package server

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/xonly"
)

// person is somebody with one device.
type person struct {
	t         *testing.T
	name      string
	key       *account.SigningKey
	party     account.Party
	statement []byte
	line      *line
	audience  string
	token     string
	invite    string
}

// newPerson makes keys and a roster; the server does not know them yet.
func (o *office) newPerson(name string) *person {
	o.t.Helper()
	key, _ := account.GenerateSigningKey(func(p []byte) { _, _ = rand.Read(p) })
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3, account.PQ3A}, CreatedAt: 1}
	_, _ = rand.Read(device.ID[:])
	return o.personWith(name, key, device)
}

// personWith makes the account whose first device is the given one.
func (o *office) personWith(name string, key *account.SigningKey, device *account.Device) *person {
	o.t.Helper()
	statement, err := account.NewAccount(device, key, 1, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	roster, err := account.StartRoster(statement)
	if err != nil {
		o.t.Fatal(err)
	}
	return &person{
		t: o.t, name: name, key: key, party: account.Party{Account: roster.ID(), Device: device},
		statement: statement.Marshal(), line: o.dial(), audience: o.addr,
	}
}

// join registers somebody new.
func (o *office) join(name string) *person {
	o.t.Helper()
	p := o.newPerson(name)
	if err := p.register(); err != nil {
		o.t.Fatal(err)
	}
	return p
}

// registration is a correct request to register.
func (p *person) registration() *posthornv1.RegisterRequest {
	p.t.Helper()
	return &posthornv1.RegisterRequest{
		Name: p.name, Statement: p.statement, Bundle: p.bundle(time.Now(), 24*time.Hour), Proof: p.proof(), Invite: p.invite,
	}
}

func (p *person) register() error {
	p.t.Helper()
	answer, err := p.line.directory.Register(p.t.Context(), p.registration())
	p.token = answer.GetToken()
	return err
}

// bundle makes a prekey bundle that begins at a time.
func (p *person) bundle(from time.Time, validity time.Duration) []byte {
	p.t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	kem, err := mlkem.GenerateKey1024()
	if err != nil {
		p.t.Fatal(err)
	}
	bundle, err := account.SignBundle(p.party, p.key, account.PQ3A, xonly.X(private.PublicKey()), kem.EncapsulationKey().Bytes(),
		uint64(from.UnixMilli()), uint64(from.Add(validity).UnixMilli()), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return bundle.Marshal()
}

// proof answers a fresh challenge of the server.
func (p *person) proof() *posthornv1.Proof {
	p.t.Helper()
	answer, err := p.line.auth.GetChallenge(p.t.Context(), &posthornv1.GetChallengeRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.prove(p.audience, answer.GetChallenge())
}

// prove signs a challenge for an address.
func (p *person) prove(audience string, challenge []byte) *posthornv1.Proof {
	p.t.Helper()
	signed := api.AuthBytes(audience, challenge, p.party.Account, p.party.Device.ID)
	sig, err := p.key.SignHybrid(nil, signed, api.AuthContext)
	if err != nil {
		p.t.Fatal(err)
	}
	return &posthornv1.Proof{
		AccountId: p.party.Account[:], DeviceId: p.party.Device.ID[:], Challenge: challenge,
		EcdsaSignature: sig.ECDSA[:], MldsaSignature: sig.MLDSA[:],
	}
}

// login gets a token for the person.
func (p *person) login() error {
	p.t.Helper()
	answer, err := p.line.auth.Authenticate(p.t.Context(), &posthornv1.AuthenticateRequest{Proof: p.proof()})
	p.token = answer.GetToken()
	return err
}

// envelope is a message for somebody.
func envelope(to *person, payload string) *posthornv1.Envelope {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return &posthornv1.Envelope{Id: id, AccountId: to.party.Account[:], DeviceId: to.party.Device.ID[:], Payload: []byte(payload)}
}

// send sends envelopes and returns what became of them.
func (p *person) send(envelopes ...*posthornv1.Envelope) ([]posthornv1.SendStatus, error) {
	answer, err := p.line.mailbox.Send(bearer(p.t, p.token), &posthornv1.SendRequest{Envelopes: envelopes})
	return answer.GetStatuses(), err
}

// sendAll sends envelopes of which all must be accepted.
func (p *person) sendAll(envelopes ...*posthornv1.Envelope) {
	p.t.Helper()
	statuses, err := p.send(envelopes...)
	if err != nil || len(statuses) != len(envelopes) {
		p.t.Fatalf("%d statuses for %d envelopes, %v", len(statuses), len(envelopes), err)
	}
	for i, s := range statuses {
		if s != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			p.t.Fatalf("envelope %d: %v", i, s)
		}
	}
}

func (p *person) ack(seq uint64) {
	p.t.Helper()
	if _, err := p.line.mailbox.Ack(bearer(p.t, p.token), &posthornv1.AckRequest{Seq: seq}); err != nil {
		p.t.Fatal(err)
	}
}

// ear is an open delivery stream.
type ear struct {
	t      *testing.T
	stream interface {
		Receive() (*posthornv1.ReceiveResponse, error)
		Close() error
	}
}

// listen opens a stream that the end of the test closes.
func (p *person) listen() ear {
	p.t.Helper()
	stream, err := p.line.mailbox.Receive(bearer(p.t, p.token), &posthornv1.ReceiveRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = stream.Close() })
	return ear{p.t, stream}
}

// catchUp reads the backlog.
func (e ear) catchUp() (all []*posthornv1.Delivery) {
	e.t.Helper()
	for {
		r, err := e.stream.Receive()
		if err != nil {
			e.t.Fatal(err)
		}
		all = append(all, r.GetDeliveries()...)
		if r.GetCaughtUp() {
			return all
		}
	}
}

// next reads one response.
func (e ear) next() *posthornv1.ReceiveResponse {
	e.t.Helper()
	r, err := e.stream.Receive()
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

// fetch is the backlog on a stream that is closed again.
func (p *person) fetch() []*posthornv1.Delivery {
	p.t.Helper()
	e := p.listen()
	defer e.stream.Close()
	return e.catchUp()
}
