//go:build !goexperiment.runtimesecret

package secret

// Erases says that this binary was built with GOEXPERIMENT=runtimesecret.
const Erases = false

// Do runs f. In a build with GOEXPERIMENT=runtimesecret it also erases what f
// left behind: registers and stack at once, heap memory when the collector
// finds it unreachable. In this build nothing is erased, and the call costs
// nothing.
func Do(f func()) { f() }
