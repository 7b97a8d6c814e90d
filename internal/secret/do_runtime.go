//go:build goexperiment.runtimesecret

package secret

import runtimesecret "runtime/secret"

// Erases says that this binary was built with GOEXPERIMENT=runtimesecret.
const Erases = true

// Do runs f and then erases the registers and the stack that f used; what f
// allocated on the heap is erased when the collector finds it unreachable. A
// result that is not secret must be copied into memory from outside of f,
// because everything allocated inside pays for the erasure. Calls may be
// nested. Goroutines that f starts and package variables are not covered.
func Do(f func()) { runtimesecret.Do(f) }
