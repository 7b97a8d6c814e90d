package transport

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
)

// ErrAddress says that a server address cannot be used.
var ErrAddress = errors.New("transport: server address refused")

// ParseAddress checks a server's URL: https to anywhere, plain http only to
// this machine, and nothing after the host. It returns the canonical form,
// which is scheme://host:port or scheme://host. SPEC §14.1.
func ParseAddress(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, reject.New("V-100", ErrAddress, "write it as https://HOST or http://127.0.0.1:PORT")
	}
	if !dialable(u) {
		return nil, reject.New("V-100", ErrAddress, "a port is a number from 1 to 65535")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, reject.New("V-100", ErrAddress, "it may hold a scheme, a host and a port, nothing else")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		return nil, reject.New("V-100", ErrAddress, "plain http is for this machine only; use https")
	default:
		return nil, reject.New("V-100", ErrAddress, "the scheme must be https, or http for this machine")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// dialable refuses ports that no connection has, and a colon without a port.
func dialable(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// isLoopback trusts the name localhost and literal loopback addresses. Other
// names could resolve to anything.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
