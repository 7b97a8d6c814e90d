// Package clock is the time that the product goes by: validity, due times,
// tokens, rates, what a message says about when it was written. In ordinary
// builds it is time.Now. A build with the tag testhooks adds the offset that
// the environment variable POSTHORN_TEST_CLOCK_OFFSET holds, so that a test of
// the real programs need not wait for a week to pass.
//
// What only measures elapsed time, such as a network deadline, uses package
// time itself: it must not jump.
package clock

import "time"

// Since is how much product time has passed since t.
func Since(t time.Time) time.Duration { return Now().Sub(t) }
