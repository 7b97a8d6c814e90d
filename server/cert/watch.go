package cert

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// watchEvery is how soon a replaced certificate is noticed.
const watchEvery = 2 * time.Second

// Files is a certificate that somebody else renews.
type Files struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	seen      stamp
}

// stamp tells one version of the two files from another.
type stamp [2]struct {
	size     int64
	modified time.Time
}

// Watch reads a certificate chain and its key, both PEM, and goes on reading
// them whenever one of the files changes, until ctx ends. A change that cannot
// be used is logged, and the certificate before it stays in use. ErrPair.
func Watch(ctx context.Context, certFile, keyFile string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: certFile, key: keyFile, log: log}
	if err := f.load(); err != nil {
		return nil, err
	}
	go f.watch(ctx)
	return f, nil
}

// Get is the newest certificate.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil }

func (f *Files) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.refresh()
		}
	}
}

func (f *Files) refresh() {
	now, err := f.stat()
	if err == nil && now == f.seen {
		return
	}
	if err == nil {
		err = f.load()
	}
	if err != nil {
		f.log.Warn("the changed certificate cannot be used; the one before stays", "error", err)
		f.seen = now
		return
	}
	f.log.Info("certificate reloaded")
}

// load reads both files. The stamp is taken before, so a change in between is
// noticed at the next look.
func (f *Files) load() error {
	now, err := f.stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPair, err)
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPair, err)
	}
	f.seen = now
	f.current.Store(&pair)
	return nil
}

func (f *Files) stat() (s stamp, err error) {
	for i, name := range [2]string{f.cert, f.key} {
		var info fs.FileInfo
		if info, err = os.Stat(name); err != nil {
			return s, err
		}
		s[i].size, s[i].modified = info.Size(), info.ModTime()
	}
	return s, nil
}
