package server

import (
	"net"
	"sync"

	"github.com/posthorn/posthorn/internal/reject"
)

// turnstile is a listener that bounds how many of its connections are open: in
// all, and of one address. One more is closed before a byte of it is read, so
// a flood costs neither memory nor handshakes, and whoever is connected stays.
type turnstile struct {
	net.Listener
	most, each int
	refused    func(*reject.Error)
	moved      func(by int) // told of everybody who comes and goes

	mu     sync.Mutex
	inside int
	of     map[string]int // by countedBy
}

func newTurnstile(l net.Listener, most, each int, refused func(*reject.Error)) *turnstile {
	return &turnstile{Listener: l, most: most, each: each, refused: refused, moved: func(int) {}, of: map[string]int{}}
}

// Accept waits for a connection that there is room for.
func (t *turnstile) Accept() (net.Conn, error) {
	for {
		c, err := t.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := countedBy(c.RemoteAddr().String())
		if t.enter(from) {
			t.moved(1)
			return &guest{Conn: c, leave: sync.OnceFunc(func() { t.leave(from); t.moved(-1) })}, nil
		}
		_ = c.Close()
		t.refused(reject.New("V-162", ErrCrowded, ""))
	}
}

func (t *turnstile) enter(from string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside >= t.most || t.of[from] >= t.each {
		return false
	}
	t.inside++
	t.of[from]++
	return true
}

func (t *turnstile) leave(from string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inside--
	if t.of[from]--; t.of[from] == 0 {
		delete(t.of, from)
	}
}

// guest is a connection that gives its place back when it is closed.
type guest struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
