package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// SocketName is the socket's name in the data folder.
const SocketName = "admin.sock"

// longestPath is what every system takes as a path of a unix socket, in bytes,
// with its terminator.
const longestPath = 103

// ErrNoServer says that no server answers on the socket of a folder.
var ErrNoServer = errors.New("no posthornd runs on this folder, nothing was done")

// ErrName says that a file which is no socket has the socket's name.
var ErrName = errors.New("a file of another kind has the name " + SocketName)

// Listen opens the socket of a data folder, for its owner only. The caller
// holds the lock of the folder, so a socket that is there was left by a server
// that was killed, and is replaced.
func Listen(data string) (net.Listener, error) {
	path := filepath.Join(data, SocketName)
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("the admin socket cannot be made: %w", err)
	}
	var l net.Listener
	err := withShortPath(data, func(short string) (err error) {
		l, err = net.Listen("unix", short)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the admin socket cannot be made: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it knows a path that may be gone
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the admin socket cannot be closed to others: %w", err), l.Close())
	}
	return &socket{l, path}, nil
}

// socket removes its file when it is closed.
type socket struct {
	net.Listener
	path string
}

// Close stops listening and removes the file.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return errors.Join(err, os.Remove(s.path))
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return ErrName
	}
	return os.Remove(path)
}

// dial connects to the server of a data folder. ErrNoServer; fs.ErrNotExist for
// a folder that is not there.
func dial(data string) (conn net.Conn, err error) {
	if _, err := os.Stat(data); err != nil {
		return nil, fmt.Errorf("the data folder cannot be found: %w", err)
	}
	err = withShortPath(data, func(short string) (err error) {
		conn, err = net.Dial("unix", short)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoServer
	}
	if err != nil {
		return nil, fmt.Errorf("the admin socket cannot be opened: %w", err)
	}
	return conn, nil
}

// withShortPath calls use with a path of the socket that the system takes. A
// unix socket's path has room for about a hundred bytes; for a folder that lies
// deeper, a private link in the folder for temporary files stands in.
func withShortPath(data string, use func(path string) error) error {
	path := filepath.Join(data, SocketName)
	if len(path) <= longestPath {
		return use(path)
	}
	full, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "posthorn")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // a link too many in the folder for temporary files
	link := filepath.Join(temp, "d")
	if len(link)+1+len(SocketName) > longestPath {
		return fmt.Errorf("the path of %s is longer than a socket's may be, and so is that of the folder for temporary files", SocketName)
	}
	if err := os.Symlink(full, link); err != nil {
		return err
	}
	return use(filepath.Join(link, SocketName))
}
