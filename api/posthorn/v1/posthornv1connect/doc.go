// Package posthornv1connect holds the calls between client and server, generated
// from proto/posthorn/v1/posthorn.proto.
package posthornv1connect
