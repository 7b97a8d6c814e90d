// Package transport is the network half of the client engine: every call that
// one device makes to its server, over Connect RPC (SPEC §14).
//
// A Client proves possession of both device keys when it first needs a token
// and again before the token runs out, gives every call a deadline, and turns
// whatever went wrong into an *Error whose sentinel says what the caller can
// do about it. It knows envelopes, names and rosters as bytes and strings; it
// neither verifies nor stores any of them.
package transport
