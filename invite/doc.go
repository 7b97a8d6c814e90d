// Package invite is the link that lets one person make one account on a server:
//
//	https://HOST[:PORT]/i/TOKEN#sha256=HEX
//
// It carries everything that registering needs: where the server is, a token
// that the server takes once, and, when the server made its certificate itself,
// the SHA-256 of that certificate. The hash stands in the fragment, which no
// program sends to a server. SPEC §14.7.
package invite
