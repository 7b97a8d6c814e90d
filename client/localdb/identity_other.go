//go:build !unix

package localdb

// fileIdentity is empty where files have no number that outlives them, so that
// every file looks like the one before.
func fileIdentity(string) ([]byte, error) { return []byte{}, nil }
