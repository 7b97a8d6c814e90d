//go:build unix

package localdb

import "github.com/google/renameio/v2"

// replaceFile puts a file in place in one step, readable by its owner only
// whatever the umask.
func replaceFile(path string, content []byte) error {
	return renameio.WriteFile(path, content, 0o600, renameio.IgnoreUmask())
}
