//go:build testhooks && !unix

package secret

// collectOnSignal does nothing: there is no such signal here.
func collectOnSignal() {}
