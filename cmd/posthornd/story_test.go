package main

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/xonly"
)

// citizen is somebody with one device and a connection to a server.
type citizen struct {
	t    *testing.T
	id   account.ID
	key  *account.SigningKey
	own  *account.Device
	line *transport.Client
}

// settle registers somebody at a server.
func settle(t *testing.T, url, name string) *citizen {
	t.Helper()
	key, _ := account.GenerateSigningKey(func(p []byte) { _, _ = rand.Read(p) })
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3, account.PQ3A}, CreatedAt: 1}
	_, _ = rand.Read(device.ID[:])
	statement, err := account.NewAccount(device, key, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	roster, err := account.StartRoster(statement)
	if err != nil {
		t.Fatal(err)
	}
	c := &citizen{t: t, id: roster.ID(), key: key, own: device}
	c.line, err = transport.New(url, transport.Device{Account: c.id, ID: device.ID, Key: key}, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.line.Close)
	if err := c.line.Register(t.Context(), account.Name(name), statement.Marshal(), c.bundle()); err != nil {
		t.Fatal(err)
	}
	return c
}

// bundle is a prekey bundle that is good for a day.
func (c *citizen) bundle() []byte {
	c.t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	kem, err := mlkem.GenerateKey1024()
	if err != nil {
		c.t.Fatal(err)
	}
	now := time.Now()
	bundle, err := account.SignBundle(account.Party{Account: c.id, Device: c.own}, c.key, account.PQ3A, xonly.X(private.PublicKey()),
		kem.EncapsulationKey().Bytes(), uint64(now.UnixMilli()), uint64(now.Add(24*time.Hour).UnixMilli()), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return bundle.Marshal()
}

// write sends payloads in one request, all of which must be accepted.
func (c *citizen) write(to *citizen, payloads ...string) {
	c.t.Helper()
	var envelopes []transport.Envelope
	for _, p := range payloads {
		e := transport.Envelope{Account: to.id, Device: to.own.ID, Payload: []byte(p)}
		_, _ = rand.Read(e.ID[:])
		envelopes = append(envelopes, e)
	}
	outcomes, err := c.line.Send(c.t.Context(), envelopes)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range outcomes {
		if o != transport.Accepted {
			c.t.Fatalf("outcomes %v", outcomes)
		}
	}
}

// fetch reads what waits, and acks it up to a number before it hangs up.
func (c *citizen) fetch(ack uint64) (payloads []string) {
	c.t.Helper()
	stream, err := c.line.Receive(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	defer stream.Close()
	for {
		batch, err := stream.Next()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range batch.Deliveries {
			payloads = append(payloads, string(d.Payload))
		}
		if batch.CaughtUp {
			break
		}
	}
	if err := c.line.Ack(c.t.Context(), ack, 0); err != nil {
		c.t.Fatal(err)
	}
	return payloads
}

// stranger makes a call without a token and returns the code of the answer.
func stranger(t *testing.T, url, procedure string) int {
	t.Helper()
	answer, err := http.Post(url+"/posthorn.v1."+procedure, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// tellStory is two people, three envelopes of 100 bytes in one request, of
// which two are acked, and a stranger who is refused.
func tellStory(t *testing.T, url string) {
	t.Helper()
	alice, bob := settle(t, url, "alice"), settle(t, url, "bob")
	text := strings.Repeat("x", 100)
	alice.write(bob, text, text, text)
	if got := bob.fetch(2); len(got) != 3 {
		t.Fatalf("%d arrived", len(got))
	}
	if code := stranger(t, url, "MailboxService/Ack"); code != http.StatusUnauthorized {
		t.Fatalf("a stranger: HTTP %d", code)
	}
}
