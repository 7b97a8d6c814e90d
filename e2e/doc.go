// Package e2e tells stories about the real programs: posthornd and posthorn
// are built and run as processes on loopback, killed, starved and fed garbage.
// It holds tests only.
package e2e
