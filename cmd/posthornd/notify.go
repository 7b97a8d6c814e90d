package main

import (
	"net"
	"os"
)

// notify tells the service manager how far the process is, as sd_notify(3)
// does: one datagram to the socket that NOTIFY_SOCKET names. Without one it does
// nothing.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"}) // "@" begins an abstract name in both worlds
	if err != nil {
		return &failure{
			exitUser, "the service manager cannot be told that the server is ready: " + err.Error() + "; nothing is served",
			"NOTIFY_SOCKET names its socket; unset it when posthornd is started by hand",
		}
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
