package log

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/kt"
)

// publicFile is what anybody needs to check the files beside it.
const publicFile = "log.json"

const publicSchema = "posthornd.log/1"

// Public is what is public of a log.
type Public struct {
	Schema  string    `json:"schema"`
	Updates [2]string `json:"updates"` // verifier keys of U: Ed25519 and ML-DSA-44
	Roots   [2]string `json:"roots"`   // of R
	Policy  string    `json:"policy"`  // that the log began with
	Config  []byte    `json:"config"`  // entry 0 of R
	Later   []string  `json:"later_policies,omitempty"`
}

// writePublic writes the file, so that the log can be checked without its keys.
func (l *Log) writePublic(g *ledger) error {
	updates, roots := l.Keys()
	p := Public{Schema: publicSchema, Updates: updates, Roots: roots, Policy: string(l.policy.Text()), Config: l.policy.Config().Marshal()}
	for _, later := range g.policies[1:] {
		p.Later = append(p.Later, string(later.Text()))
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return writeOnce(l.o.Folder, publicFile, raw)
}

// ErrFolder: there is no transparency log in a folder.
var ErrFolder = errors.New("log: no transparency log in this folder")

// ReadPublic reads what is public of the log in a folder, and all its policies,
// the last of which is in force. ErrFolder.
func ReadPublic(folder string) (p Public, policies []*kt.Policy, err error) {
	raw, err := os.ReadFile(filepath.Join(folder, publicFile))
	if err != nil {
		return p, nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	if json.Unmarshal(raw, &p) != nil || p.Schema != publicSchema {
		return p, nil, ErrFolder
	}
	config, err := kt.ParseConfig(p.Config)
	if err != nil {
		return p, nil, ErrFolder
	}
	policy, err := kt.NewPolicy([]byte(p.Policy), config)
	policies = append(policies, policy)
	for i := 0; i < len(p.Later) && err == nil; i++ {
		policy, err = policy.Next([]byte(p.Later[i]))
		policies = append(policies, policy)
	}
	return p, policies, err
}

// Checkpoint reads the newest checkpoint in a folder, whether a server runs on
// it or not, and checks its signatures and the policy that its last root names.
func Checkpoint(ctx context.Context, folder string) (*kt.Checkpoint, Public, error) {
	signed, err := os.ReadFile(filepath.Join(folder, rootsFolder, "checkpoint"))
	if err != nil {
		return nil, Public{}, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	p, policies, err := ReadPublic(folder) // after the checkpoint: it is never behind that
	if err != nil {
		return nil, p, err
	}
	policy, err := policyOver(ctx, folder, policies, signed)
	if err != nil {
		return nil, p, err
	}
	c, err := policy.Checkpoint(signed)
	return c, p, err
}

// policyOver is the policy that the last root under a checkpoint names.
func policyOver(ctx context.Context, folder string, policies []*kt.Policy, signed []byte) (*kt.Policy, error) {
	size, _, err := policies[0].Signed(signed)
	if err != nil || size < 2 {
		return policies[0], err
	}
	last := reader{fetch: client.FileFetcher{Root: filepath.Join(folder, rootsFolder)}, size: size, at: size - 1}
	raw, err := last.next(ctx)
	if err != nil {
		return nil, err
	}
	root, err := kt.ParseRoot(raw)
	if err != nil {
		return nil, err
	}
	return named(policies, root)
}

// named is the policy that a root names.
func named(policies []*kt.Policy, root kt.Root) (*kt.Policy, error) {
	if n := root.Standing.Number; n < uint32(len(policies)) && policies[n].Standing() == root.Standing {
		return policies[n], nil
	}
	return nil, fmt.Errorf("%w: a root names a policy that is not in %s", ErrRecord, publicFile)
}

// Report is what Verify found in a sound log.
type Report struct {
	Roots     uint64 // entries of R
	Updates   uint64 // entries of U
	Names     int    // in the map
	Root      [32]byte
	Witnesses []string
	SignedAt  time.Time
}

// Verify checks whole logs in a folder, without believing the server: every tile
// and hash of both, each root against the updates before it, which makes the map
// again, and the checkpoint against the policy. A server may run meanwhile.
func Verify(ctx context.Context, folder string) (*Report, error) {
	c, p, err := Checkpoint(ctx, folder)
	if err != nil {
		return nil, err
	}
	_, policies, err := ReadPublic(folder)
	if err != nil {
		return nil, err
	}
	r := client.FileFetcher{Root: filepath.Join(folder, rootsFolder)}
	u := client.FileFetcher{Root: filepath.Join(folder, updatesFolder)}
	if _, err := sound(ctx, r, p.Roots[0]); err != nil {
		return nil, fmt.Errorf("the log of roots: %w", err)
	}
	updates, err := sound(ctx, u, p.Updates[0])
	if err != nil {
		return nil, fmt.Errorf("the log of updates: %w", err)
	}
	report := &Report{Roots: c.Size, Root: c.Root, Witnesses: c.Witnesses, SignedAt: c.Newest}
	replayed, err := madeAgain(ctx, r, reader{fetch: u, size: updates}, c.Size, policies)
	if err != nil {
		return nil, err
	}
	report.Updates, report.Names = replayed.Size(), replayed.Map().Len()
	return report, nil
}

// sound checks every hash in the tiles of one log under its checkpoint, by making
// them again from the entries, and tells how many those are.
func sound(ctx context.Context, f client.FileFetcher, vkey string) (size uint64, err error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, err
	}
	cp, _, _, err := client.FetchCheckpoint(ctx, f.ReadCheckpoint, v, v.Name())
	if err != nil {
		return 0, err
	}
	c := &tileCheck{fetch: f, size: cp.Size, open: map[place][]byte{}}
	tree, entries := ranges.NewEmptyRange(0), reader{fetch: f, size: cp.Size}
	for entries.at < cp.Size {
		e, err := entries.next(ctx)
		if err != nil {
			return 0, err
		}
		err = tree.Append(rfc6962.DefaultHasher.HashLeaf(e), func(id compact.NodeID, hash []byte) { c.node(ctx, id, hash) })
		if err = errors.Join(err, c.wrong); err != nil {
			return 0, err
		}
	}
	c.rest(ctx)
	if root := rootOf(tree); c.wrong == nil && string(root[:]) != string(cp.Hash) {
		return 0, fmt.Errorf("%w: the entries do not lead to the root in the checkpoint", ErrRecord)
	}
	return cp.Size, c.wrong
}

// place is where a tile stands.
type place struct{ level, index uint64 }

// tileCheck compares tiles with the hashes that they should have.
type tileCheck struct {
	fetch client.FileFetcher
	size  uint64
	open  map[place][]byte // hashes of tiles that are not full yet
	wrong error
}

// node takes the next hash of the tree. Only every eighth level is in tiles.
func (c *tileCheck) node(ctx context.Context, id compact.NodeID, hash []byte) {
	if id.Level%8 != 0 {
		return
	}
	at := place{uint64(id.Level / 8), id.Index / bundleWidth}
	c.open[at] = append(c.open[at], hash...)
	if len(c.open[at]) == bundleWidth*len(hash) {
		c.compare(ctx, at)
		delete(c.open, at)
	}
}

// rest compares the tiles at the edge.
func (c *tileCheck) rest(ctx context.Context) {
	for at := range c.open {
		c.compare(ctx, at)
	}
}

func (c *tileCheck) compare(ctx context.Context, at place) {
	partial := layout.PartialTileSize(at.level, at.index, c.size)
	raw, err := c.fetch.ReadTile(ctx, at.level, at.index, partial)
	if err != nil || !bytes.HasPrefix(raw, c.open[at]) {
		c.wrong = errors.Join(fmt.Errorf("%w: a tile of level %d is missing, or has other hashes than its entries lead to", ErrRecord, at.level), err)
	}
}

func entriesOf(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	err := b.UnmarshalText(bundle)
	return b.Entries, err
}

// madeAgain makes the map from the files and holds each root against it.
func madeAgain(ctx context.Context, r client.FileFetcher, updates reader, size uint64, policies []*kt.Policy) (*kt.Replay, error) {
	replayed := kt.NewReplay()
	roots := reader{fetch: r, size: size}
	first, err := roots.next(ctx)
	if err != nil || string(first) != string(policies[0].Config().Marshal()) {
		return nil, errors.Join(fmt.Errorf("%w: the first entry is not the one of this log", ErrRecord), err)
	}
	now := policies[0]
	for roots.at < size {
		raw, err := roots.next(ctx)
		if err != nil {
			return nil, err
		}
		root, err := kt.ParseRoot(raw)
		if err != nil {
			return nil, err
		}
		at, err := named(policies, root)
		if err != nil || at != now && at.Standing().Number != now.Standing().Number+1 {
			return nil, errors.Join(fmt.Errorf("%w: the policies that the roots name do not follow one by one", ErrRecord), err)
		}
		now = at
		for updates.size = max(updates.size, root.Updates); updates.at < root.Updates; {
			raw, err := updates.next(ctx)
			if err != nil {
				return nil, err
			}
			update, err := kt.ParseUpdate(raw)
			if err != nil {
				return nil, err
			}
			if err := replayed.Add(update); err != nil {
				return nil, err
			}
		}
		if err := replayed.Check(root); err != nil {
			return nil, err
		}
	}
	return replayed, nil
}

// bundleWidth is how many entries a full bundle has.
const bundleWidth = 256

// reader reads the entries of a log in order.
type reader struct {
	fetch   client.FileFetcher
	size    uint64 // how far it may read now
	at      uint64
	entries [][]byte // of the bundle that at is in
}

func (r *reader) next(ctx context.Context) ([]byte, error) {
	place := r.at % bundleWidth
	if place >= uint64(len(r.entries)) || place == 0 {
		partial := uint8(0)
		if r.at/bundleWidth == r.size/bundleWidth {
			partial = uint8(r.size % bundleWidth)
		}
		bundle, err := r.fetch.ReadEntryBundle(ctx, r.at/bundleWidth, partial)
		if err != nil {
			return nil, err
		}
		if r.entries, err = entriesOf(bundle); err != nil {
			return nil, err
		}
	}
	if place >= uint64(len(r.entries)) {
		return nil, fmt.Errorf("%w: an entry is missing in the tiles", ErrRecord)
	}
	r.at++
	return r.entries[place], nil
}
