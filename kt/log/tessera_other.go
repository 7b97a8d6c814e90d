//go:build !unix

package log

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const publishEvery = 100 * time.Millisecond

// treeOptions are what the log of roots has beyond that of updates.
type treeOptions struct {
	policy    []byte
	client    *http.Client
	republish time.Duration
	now       func() time.Time // what signatures are dated by
}

// openTree refuses: Tessera needs a POSIX file system.
func openTree(context.Context, string, []note.Signer, treeOptions) (*tree, error) {
	return nil, ErrPlatform
}
