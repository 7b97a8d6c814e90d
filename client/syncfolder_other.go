//go:build !unix

package client

import "os"

// syncFolder does nothing where the system keeps folders in order by itself.
func syncFolder(*os.Root) error { return nil }
