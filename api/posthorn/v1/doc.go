// Package posthornv1 holds the messages between client and server, generated
// from proto/posthorn/v1/posthorn.proto.
package posthornv1
