//go:build unix

package archive

import (
	"errors"
	"os"
)

// SyncFolder makes the names in a folder survive a power cut.
func SyncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
