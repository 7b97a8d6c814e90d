//go:build !unix

package localdb

import (
	"errors"
	"os"
	"path/filepath"
)

// replaceFile puts a file in place in one step. Who may read it follows from
// its folder, which belongs to the user.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
