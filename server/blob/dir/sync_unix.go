//go:build unix

package dir

import (
	"errors"
	"os"
)

// syncFolder makes new names and renames in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return failed("open the folder of", err)
	}
	if err := f.Sync(); err != nil {
		return errors.Join(failed("sync the folder of", err), f.Close())
	}
	return f.Close()
}
