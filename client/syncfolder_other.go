//go:build !unix

package client

import (
	"io/fs"
	"os"
)

// syncFolder does nothing where the system keeps folders in order by itself.
func syncFolder(*os.Root) error { return nil }

// hasLinks is not told by these systems.
func hasLinks(fs.FileInfo) bool { return false }
