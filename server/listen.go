package server

import (
	"net"

	"github.com/posthorn/posthorn/internal/reject"
)

// Listen opens the address that a server answers on. Without TLS it refuses
// every address that other machines can reach: ErrAddress. covered says that
// the server has a certificate, or that a proxy that does TLS is in front. A
// name other than localhost is refused too, since it may resolve to anything.
// SPEC §14.1.
func Listen(address string, covered bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, reject.New("V-90", ErrAddress, "write it as HOST:PORT")
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	if !local && !covered {
		return nil, reject.New("V-90", ErrAddress, "without TLS only addresses of this machine are allowed")
	}
	return net.Listen("tcp", address)
}
