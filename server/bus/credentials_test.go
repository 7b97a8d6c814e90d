package bus_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/bus/bustest"
)

// The kinds of NATS keys, in the upper five bits of their first byte.
const (
	operatorKey = 14 << 3
	accountKey  = 0
	userKey     = 20 << 3
	secretSeed  = 18 << 3
)

// natsKey is a key pair in the form of NATS.
type natsKey struct {
	kind    byte
	private ed25519.PrivateKey
}

func newNkey(t *testing.T, kind byte) natsKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return natsKey{kind, private}
}

func (k natsKey) public() string {
	return nkeyText(append([]byte{k.kind}, k.private.Public().(ed25519.PublicKey)...))
}

func (k natsKey) seed() string {
	return nkeyText(append([]byte{secretSeed | k.kind>>5, k.kind & 31 << 3}, k.private.Seed()...))
}

// nkeyText adds the CRC-16 of XMODEM.
func nkeyText(b []byte) string {
	crc := uint16(0)
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			high := crc & 0x8000
			if crc <<= 1; high != 0 {
				crc ^= 0x1021
			}
		}
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(binary.LittleEndian.AppendUint16(b, crc))
}

// vouch signs a token of NATS: what one key says about another, or itself.
func (k natsKey) vouch(t *testing.T, about natsKey, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	claims["version"] = 2
	signed := part(map[string]any{"typ": "JWT", "alg": "ed25519-nkey"}) + "." + part(map[string]any{
		"jti": rand.Text(), "iat": time.Now().Unix(), "iss": k.public(), "sub": about.public(), "name": "test", "nats": claims,
	})
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, []byte(signed)))
}

// credentials is the file that NATS's own tools give a user.
func credentials(token string, user natsKey) string {
	return fmt.Sprintf("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", token, user.seed())
}

// A server that trusts an operator lets a user in whom an account of the
// operator vouches for, and nobody else: another account's user, or somebody
// who has the right user's token and not its key.
func TestBusWithCredentialsOfAnOperator(t *testing.T) {
	operator, account, user := newNkey(t, operatorKey), newNkey(t, accountKey), newNkey(t, userKey)
	other, thief := newNkey(t, accountKey), newNkey(t, userKey)
	limits := map[string]any{"type": "account", "limits": map[string]any{"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1}}
	asUser := func() map[string]any { return map[string]any{"type": "user", "subs": -1, "data": -1, "payload": -1} }
	token := account.vouch(t, user, asUser())

	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nats := bustest.Start(t, "-c", file("nats.conf", fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }\n",
		operator.vouch(t, operator, map[string]any{"type": "operator"}), account.public(), operator.vouch(t, account, limits))))

	right := bus.Options{URL: nats.URL(), Credentials: file("right", credentials(token, user))}
	var in inbox
	one, two := join(t, right, "one", &inbox{}), join(t, right, "two", &in)
	until(t, "both are up", func() bool { return one.Up() && two.Up() })
	until(t, "a message arrives", func() bool {
		one.Send("two", []byte("sealed"))
		n, _ := in.state()
		return n > 0
	})
	for name, text := range map[string]string{
		"another account": credentials(other.vouch(t, user, asUser()), user),
		"a stolen token":  credentials(token, thief),
	} {
		t.Run(name, func(t *testing.T) {
			turnedAway(t, bus.Options{URL: nats.URL(), Credentials: file(strings.ReplaceAll(name, " ", "-"), text)}, "authorization violation")
		})
	}
}
