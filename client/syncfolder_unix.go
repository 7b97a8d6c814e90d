//go:build unix

package client

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// syncFolder makes new names in a folder durable.
func syncFolder(root *os.Root) error {
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// hasLinks reports whether a file has other names, under which it must not
// change.
func hasLinks(f fs.FileInfo) bool {
	there, ok := f.Sys().(*syscall.Stat_t)
	return ok && there.Nlink > 1
}
