//go:build unix

package client

import (
	"errors"
	"os"
)

// syncFolder makes new names in a folder durable.
func syncFolder(root *os.Root) error {
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
