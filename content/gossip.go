package content

import "github.com/posthorn/posthorn/internal/codec"

// Gossip is the log's head as the sender has seen it (SPEC §13.3), so that a
// server cannot show two people two logs. Its bytes are opaque here.
type Gossip struct{ Head [108]byte }

func (Gossip) kind() kind { return kindGossip }

func (g Gossip) appendTo(dst []byte) ([]byte, error) { return append(dst, g.Head[:]...), nil }

func readGossip(r *codec.Reader) Body {
	var g Gossip
	r.Copy(g.Head[:])
	return g
}
