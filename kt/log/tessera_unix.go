//go:build unix

package log

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

const (
	// batchAge is how long Tessera waits for more entries, which come all at once.
	batchAge = time.Millisecond
	// publishEvery is the shortest time between two checkpoints that Tessera allows.
	publishEvery = 100 * time.Millisecond
	// witnessTime bounds one attempt to reach the witnesses.
	witnessTime = 5 * time.Second
)

// treeOptions are what the log of roots has beyond that of updates.
type treeOptions struct {
	policy    []byte // of witnesses; empty: none are asked
	client    *http.Client
	republish time.Duration
	now       func() time.Time // what signatures are dated by
}

// Tessera's logger names addresses and writes what is no JSON.
var silence = sync.OnceFunc(func() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
})

// openTree opens a log, or makes it.
func openTree(ctx context.Context, folder string, s []note.Signer, o treeOptions) (*tree, error) {
	silence()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	options := func() *tessera.AppendOptions {
		return tessera.NewAppendOptions().WithCheckpointSigner(s[0], s[1:]...).
			WithBatching(addBatch, batchAge).WithCheckpointInterval(publishEvery).
			WithCheckpointRepublishInterval(o.republish)
	}
	// A new log publishes its empty state while it is opened. Nobody is to wait for
	// witnesses then, so that happens without them and for nobody's eyes.
	if _, err := os.Stat(filepath.Join(folder, ".state", "treeState")); errors.Is(err, os.ErrNotExist) && len(o.policy) > 0 {
		t, err := newTree(ctx, folder, options(), nil)
		if err == nil {
			err = t.close(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	witnessed := options()
	if len(o.policy) > 0 {
		group, err := tessera.NewWitnessGroupFromPolicy(o.policy)
		if err != nil {
			return nil, errors.Join(ErrPolicy, err)
		}
		witnessed.WithWitnesses(group, &tessera.WitnessOptions{Timeout: witnessTime})
	}
	return newTree(ctx, folder, witnessed, o.client)
}

func newTree(_ context.Context, folder string, options *tessera.AppendOptions, c *http.Client) (*tree, error) {
	background, end := context.WithCancel(context.Background())
	driver, err := posix.New(background, posix.Config{Path: folder, HTTPClient: c})
	if err != nil {
		end()
		return nil, err
	}
	appender, shutdown, reader, err := tessera.NewAppender(background, driver, options)
	if err != nil {
		end()
		return nil, err
	}
	return &tree{
		folder: folder, size: reader.IntegratedSize, signed: reader.ReadCheckpoint, tile: orWider(folder, reader.ReadTile),
		add: func(ctx context.Context, at uint64, entries [][]byte) error { return addTo(ctx, appender, at, entries) },
		// What is integrated is on disk; what is not published in time will be after
		// the next start.
		close: func(ctx context.Context) error {
			_ = shutdown(ctx)
			end()
			return nil
		},
	}, nil
}

// addTo appends entries from one goroutine, which keeps their order, and waits
// until each is integrated or has failed: nothing is on its way when it returns.
func addTo(ctx context.Context, a *tessera.Appender, at uint64, entries [][]byte) error {
	futures := make([]tessera.IndexFuture, len(entries))
	for i, e := range entries {
		futures[i] = a.Add(ctx, tessera.NewEntry(e))
	}
	var failed error
	for i, f := range futures {
		place, err := f()
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case place.Index != at+uint64(i):
			// Something else stands there, or what should stand before it has failed.
			return ErrAhead
		}
	}
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrTiles, failed)
	}
	return nil
}
