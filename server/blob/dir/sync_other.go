//go:build !unix

package dir

// syncFolder does nothing where the system keeps folders in order by itself and
// opens none as a file.
func syncFolder(string) error { return nil }
