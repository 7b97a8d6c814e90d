package suite

import (
	"bytes"
	"slices"
	"time"
)

// Post is the server of every level that encrypts end to end: it keeps records
// and hands on what it cannot read. handOut takes what one caller gets off a
// record; at a level without one-time prekeys that is the record itself.
type Post struct {
	level   string
	handOut func(record []byte) (rest, bundle []byte, err error)
	records []record // in the order of first registration
}

type record struct {
	owner string
	bytes []byte
}

// NewPost makes a server without records.
func NewPost(level string, handOut func(record []byte) (rest, bundle []byte, err error)) *Post {
	return &Post{level: level, handOut: handOut}
}

// WholeRecord is the handOut of levels without one-time prekeys.
func WholeRecord(record []byte) (rest, bundle []byte, err error) { return record, record, nil }

// Register keeps the newest record of each owner.
func (p *Post) Register(_ time.Time, owner string, bytes []byte) (Server, error) {
	next := *p
	next.records = slices.Clone(p.records)
	if i := p.find(owner); i >= 0 {
		next.records[i].bytes = bytes
	} else {
		next.records = append(next.records, record{owner, bytes})
	}
	return &next, nil
}

// HandOut gives a bundle to one caller.
func (p *Post) HandOut(owner string) (Server, []byte, error) {
	i := p.find(owner)
	if i < 0 {
		return nil, nil, Refuse(p.level, ErrPeer, "the server has no record of "+owner)
	}
	rest, bundle, err := p.handOut(p.records[i].bytes)
	if err != nil {
		return nil, nil, err
	}
	next := *p
	next.records = slices.Clone(p.records)
	next.records[i].bytes = rest
	return &next, bundle, nil
}

func (p *Post) find(owner string) int {
	return slices.IndexFunc(p.records, func(r record) bool { return r.owner == owner })
}

// Relay keeps and delivers the bytes as they came.
func (p *Post) Relay(_ Entropy, _ time.Time, _, _ string, wire []byte) (next Server, kept, delivered []byte, err error) {
	return p, bytes.Clone(wire), bytes.Clone(wire), nil
}

// State is all records, one after the other. They are public.
func (p *Post) State() (b []byte) {
	for _, r := range p.records {
		b = append(b, r.bytes...)
	}
	return b
}
