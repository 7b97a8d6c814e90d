//go:build !unix

package archive

// SyncFolder does nothing where a folder cannot be synced.
func SyncFolder(string) error { return nil }
