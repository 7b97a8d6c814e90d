// Package level0 is a cloud chat: each device has an encrypted connection to
// the server, and the server stores the text. Nobody on the wire can read it
// today. Whoever runs the server, or takes it, reads everything.
//
// The connection is modelled on TLS 1.3 (RFC 8446) without its handshake
// messages: a fresh X25519 key of the client against the server's key, HPKE in
// base mode (RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM),
// and for the other direction a key exported from the same context, as RFC 9180
// §9.8 proposes. What TLS has and this lacks: certificates, a fresh key of the
// server, several connections in the life of a device. A device connects once.
//
// There are no identity keys, no prekeys and no ratchet, so the files identity,
// prekey, symratchet and pkratchet of the other levels have no counterpart.
package level0
