package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"

	"github.com/posthorn/posthorn/kt"
)

// The folders of the two logs, inside that of the log.
const (
	updatesFolder = "updates"
	rootsFolder   = "roots"
)

// tree is one log in the form of tiles, kept by Tessera.
type tree struct {
	folder string
	add    func(ctx context.Context, at uint64, entries [][]byte) error // waits until they are in the tree, from at on
	size   func(ctx context.Context) (uint64, error)
	signed func(ctx context.Context) ([]byte, error) // the newest published checkpoint
	tile   client.TileFetcherFunc
	close  func(ctx context.Context) error
}

// unsign takes the published checkpoint away, so that Tessera signs a new one.
func (t *tree) unsign() error {
	err := os.Remove(filepath.Join(t.folder, layout.CheckpointPath))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrTiles, err)
	}
	return nil
}

// orWider reads a tile that is there with more hashes than are asked for, as in a
// folder that was made anew from the store: what a smaller tree had is the
// beginning of it.
func orWider(folder string, read client.TileFetcherFunc) client.TileFetcherFunc {
	return func(ctx context.Context, level, index uint64, partial uint8) ([]byte, error) {
		raw, err := read(ctx, level, index, partial)
		if partial == 0 || !errors.Is(err, fs.ErrNotExist) {
			return raw, err
		}
		name := layout.TilePath(level, index, partial)
		parts := strings.TrimSuffix(name, strconv.Itoa(int(partial)))
		for wider := int(partial) + 1; wider < bundleWidth; wider++ {
			raw, other := os.ReadFile(filepath.Join(folder, filepath.FromSlash(parts+strconv.Itoa(wider))))
			if other == nil && len(raw) == wider*len([32]byte{}) {
				return raw[:int(partial)*len([32]byte{})], nil
			}
		}
		return nil, err
	}
}

// ErrAhead: the tiles in the folder go beyond the log in the store.
var ErrAhead = errors.New("log: the folder of the transparency log goes beyond the log in the store, as after the restore of an older backup of the store alone; nothing was started")

// ErrTiles: the tiles could not be read or written. They follow from the store,
// so nothing of the log is lost.
var ErrTiles = errors.New("log: the tiles of the transparency log cannot be read or written")

// errOtherTiles: what was signed is not what the store holds.
var errOtherTiles = fmt.Errorf("%w: they are not those of the log in the store; nothing of them was published. Move the folder kt away: a start makes it anew from the store", ErrTiles)

// addBatch bounds how many entries are given to Tessera at a time.
const addBatch = 4096

// addAll appends entries at the end of a tree, which must be where it is told.
func (t *tree) addAll(ctx context.Context, at uint64, entries [][]byte) error {
	for len(entries) > 0 {
		n := min(len(entries), addBatch)
		if err := t.add(ctx, at, entries[:n]); err != nil {
			return err
		}
		entries, at = entries[n:], at+uint64(n)
	}
	return nil
}

// tiles are both logs.
type tiles struct{ updates, roots *tree }

func openTiles(ctx context.Context, folder string, keys storedKeys, o treeOptions) (*tiles, error) {
	u, err := openSigned(ctx, filepath.Join(folder, updatesFolder), keys.Updates, treeOptions{republish: o.republish, now: o.now})
	if err != nil {
		return nil, err
	}
	r, err := openSigned(ctx, filepath.Join(folder, rootsFolder), keys.Roots, o)
	if err != nil {
		return nil, errors.Join(err, u.close(ctx))
	}
	return &tiles{u, r}, nil
}

func openSigned(ctx context.Context, folder string, keys [2]keyPair, o treeOptions) (*tree, error) {
	s, err := signers(keys, o.now)
	if err != nil {
		return nil, err
	}
	t, err := openTree(ctx, folder, s, o)
	if err != nil && !errors.Is(err, ErrPolicy) {
		err = fmt.Errorf("%w: %w", ErrTiles, err)
	}
	return t, err
}

// follow adds an epoch to both logs. The entries of U come first, so that no
// root is published before what it is of.
func (t *tiles) follow(ctx context.Context, e epochRecord, size, updates uint64) error {
	entries := make([][]byte, len(e.updates))
	for i, u := range e.updates {
		entries[i] = u.Marshal()
	}
	if err := t.updates.addAll(ctx, updates-uint64(len(entries)), entries); err != nil {
		return err
	}
	return t.roots.addAll(ctx, size-1, [][]byte{e.entry})
}

// catchUp brings the tiles to where the ledger is.
func (t *tiles) catchUp(ctx context.Context, records Records, g *ledger) error {
	u, err := t.updates.size(ctx)
	if err != nil {
		return err
	}
	r, err := t.roots.size(ctx)
	if err != nil {
		return err
	}
	if u > g.updates.End() || r > g.size {
		return ErrAhead
	}
	from, err := epochWith(ctx, records, u, g.size)
	if err != nil {
		return err
	}
	if err := t.refillUpdates(ctx, records, from, u, g); err != nil {
		return err
	}
	return t.refillRoots(ctx, records, r)
}

// refillUpdates adds what U lacks, beginning within an epoch.
func (t *tiles) refillUpdates(ctx context.Context, records Records, from, have uint64, g *ledger) error {
	if have == g.updates.End() {
		return nil
	}
	var waiting [][]byte
	flush := func() error {
		err := t.updates.addAll(ctx, have, waiting)
		have, waiting = have+uint64(len(waiting)), nil
		return err
	}
	err := eachEpoch(ctx, records, from, func(e epochRecord) error {
		root, err := kt.ParseRoot(e.entry)
		if err != nil {
			return ErrRecord
		}
		first := root.Updates - uint64(len(e.updates))
		for i, u := range e.updates {
			if first+uint64(i) >= have+uint64(len(waiting)) {
				waiting = append(waiting, u.Marshal())
			}
		}
		if len(waiting) < addBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (t *tiles) refillRoots(ctx context.Context, records Records, have uint64) error {
	var waiting [][]byte
	flush := func() error {
		err := t.roots.addAll(ctx, have, waiting)
		have, waiting = have+uint64(len(waiting)), nil
		return err
	}
	err := eachEpoch(ctx, records, have, func(e epochRecord) error {
		if waiting = append(waiting, e.entry); len(waiting) < addBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (t *tiles) close(ctx context.Context) error {
	return errors.Join(t.updates.close(ctx), t.roots.close(ctx))
}

func (t *tiles) consistency(ctx context.Context, from, to uint64) ([][]byte, error) {
	builder, err := client.NewProofBuilder(ctx, to, t.roots.tile)
	if err != nil {
		return nil, err
	}
	return builder.ConsistencyProof(ctx, from, to)
}
