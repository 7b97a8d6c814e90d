package invite

import (
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
)

// ErrInvite says that a link is no invite, or not a whole one.
var ErrInvite = errors.New("invite: link refused")

// Fingerprint is the SHA-256 of a certificate in DER.
type Fingerprint [32]byte

// Link is one invite.
type Link struct {
	Server string // scheme://host or scheme://host:port
	Token  Token
	Pin    *Fingerprint // nil: the certificate proves itself in the usual way
}

const (
	pathOfToken = "/i/"
	pinPrefix   = "sha256="
	// maxLink is the longest link that is looked at, in bytes: a host has 253.
	maxLink = 512
)

// String is the link as text. Unlike a Token it shows everything: it is what
// the invited person is given.
func (l Link) String() string {
	text := l.Server + pathOfToken + l.Token.Text()
	if l.Pin != nil {
		text += "#" + pinPrefix + hex.EncodeToString(l.Pin[:])
	}
	return text
}

// Parse reads a link. It takes exactly what String writes. The errors are
// ErrInvite: V-150 for the address, V-151 for the token, V-152 for the hash.
func Parse(raw string) (Link, error) {
	if len(raw) > maxLink {
		return Link{}, reject.New("V-150", ErrInvite, "it is too long for a link")
	}
	text, fragment, pinned := strings.Cut(raw, "#")
	at := strings.LastIndex(text, pathOfToken)
	if at < 0 {
		return Link{}, reject.New("V-151", ErrInvite, "it has no token; an invite looks like https://HOST/i/TOKEN")
	}
	server, err := ParseServer(text[:at])
	if err != nil {
		return Link{}, err
	}
	if server != text[:at] {
		return Link{}, reject.New("V-150", ErrInvite, "the address in it is not written in its plain form")
	}
	l := Link{Server: server}
	if l.Token, err = ParseToken(text[at+len(pathOfToken):]); err != nil {
		return Link{}, err
	}
	if pinned {
		if l.Pin, err = parsePin(server, fragment); err != nil {
			return Link{}, err
		}
	}
	return l, nil
}

// ParseServer checks the address of a server as it stands in a link, and
// returns its plain form: https to anywhere, http to the same machine only,
// with a host and perhaps a port and nothing else. V-150.
func ParseServer(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.TrimSuffix(raw, "/") != u.Scheme+"://"+u.Host {
		return "", reject.New("V-150", ErrInvite, "the address must be https://HOST or https://HOST:PORT")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if strings.HasSuffix(u.Host, ":") || u.Port() != "" && (err != nil || port == 0) {
		return "", reject.New("V-150", ErrInvite, "the port must be a number from 1 to 65535")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return "", reject.New("V-150", ErrInvite, "the address must be https, or http for this machine")
	}
	return u.Scheme + "://" + u.Host, nil
}

// parsePin reads the fragment of a link. Without TLS there is no certificate
// for it.
func parsePin(server, fragment string) (*Fingerprint, error) {
	digits, ok := strings.CutPrefix(fragment, pinPrefix)
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != len(Fingerprint{}) || hex.EncodeToString(b) != digits {
		return nil, reject.New("V-152", ErrInvite, "the certificate's hash in it is not whole")
	}
	if !strings.HasPrefix(server, "https://") {
		return nil, reject.New("V-152", ErrInvite, "a certificate's hash is for https only")
	}
	pin := Fingerprint(b)
	return &pin, nil
}
