package server

import (
	"net"

	"github.com/posthorn/posthorn/internal/reject"
)

// Listen opens the address that a server answers on. The server speaks HTTP
// without TLS, so it refuses every address that other machines can reach,
// unless a proxy that does TLS is in front: ErrAddress. A name other than
// localhost is refused too, since it may resolve to anything. SPEC §14.1.
func Listen(address string, behindProxy bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, reject.New("V-90", ErrAddress, "write it as HOST:PORT")
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	if !local && !behindProxy {
		return nil, reject.New("V-90", ErrAddress, "without TLS only addresses of this machine are allowed")
	}
	return net.Listen("tcp", address)
}
