// Package suitetest is what every security level is held to: two devices agree
// under any order of events, nothing altered or repeated is accepted, a refusal
// changes nothing, and a stored device comes back as it was. It is imported by
// tests only.
package suitetest
