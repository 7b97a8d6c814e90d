// Package api is what client and server share: the limits of the interface,
// the bytes that a device signs to log in, and the stable reasons in errors.
// It has no behaviour. The messages themselves are generated from
// proto/posthorn/v1/posthorn.proto into the folder below. SPEC §14.
package api
