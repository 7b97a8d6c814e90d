package main

import (
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// talk starts a session from one device to another, both ways, and seals n
// messages in it, as a device does that writes while the other is away: the
// post-quantum objects travel on some of them, as the pacing says.
func talk(from, to *device, n int, size func() int) ([][]byte, error) {
	entropy, now := pq3.SystemEntropy(), time.Now()
	session, err := established(from, to, now)
	if err != nil {
		return nil, err
	}
	text := make([]byte, 128<<10)
	payloads := make([][]byte, n)
	for i := range payloads {
		if session, payloads[i], err = session.Seal(entropy, now, text[:size()], nil); err != nil {
			return nil, err
		}
	}
	return payloads, nil
}

// established is the sender's session after its first message was answered.
func established(from, to *device, now time.Time) (*pq3.Session, error) {
	entropy := pq3.SystemEntropy()
	started, err := pq3.Initiate(from.Identity, to.Party(), to.prekey.Bundle(), pq3.InitiateOptions{}, now, entropy)
	if err != nil {
		return nil, err
	}
	started, first, err := started.Seal(entropy, now, []byte("hello"), nil)
	if err != nil {
		return nil, err
	}
	opened, err := pq3.ParseMessage(first)
	if err != nil {
		return nil, err
	}
	accepted, err := pq3.Accept(to.Identity, from.Party(), opened, pq3.AcceptOptions{
		Prekeys: pq3test.PrekeyMap{to.prekey.Hash(): to.prekey}, Replays: &pq3test.ReplayLog{},
	}, now)
	if err != nil {
		return nil, err
	}
	_, reply, err := accepted.Session.Seal(entropy, now, []byte("hello back"), nil)
	if err != nil {
		return nil, err
	}
	answer, err := pq3.ParseMessage(reply)
	if err != nil {
		return nil, err
	}
	next, _, err := started.Open(now, answer)
	return next, err
}

// chatSizes are the text lengths of people who chat: mostly a line, sometimes a
// paragraph, now and then a page.
func chatSizes() int {
	switch n := rand.IntN(100); {
	case n < 75:
		return 10 + rand.IntN(120)
	case n < 95:
		return 200 + rand.IntN(600)
	default:
		return 2000 + rand.IntN(4000)
	}
}

// sized makes every text as long as gives payloads of about the wanted bytes.
func sized(payload int) func() int {
	const around = 220 // header, tag and signature of an ordinary message
	return func() int { return max(1, payload-around) }
}

// sendRequest is one Send call with these envelopes.
func sendRequest(envelopes []*posthornv1.Envelope) (request, error) {
	body, err := proto.Marshal(&posthornv1.SendRequest{Envelopes: envelopes})
	return request{procedure: posthornv1connect.MailboxServiceSendProcedure, body: body}, err
}
