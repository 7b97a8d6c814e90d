package main

import (
	"slices"
	"time"
)

// movedBlobsFile in the data folder says that attachments were moved to another
// place. From the moment that it is there, that place counts.
const movedBlobsFile = "moved-blobs.json"

// movedBlobs is the content of movedBlobsFile; nil: they were never moved.
// Places are named as placeName does.
type movedBlobs struct {
	To   string    `json:"to"`
	Left []string  `json:"left"` // where they were before, and not after
	At   time.Time `json:"at"`
}

func blobsMovedFrom(data string) (*movedBlobs, error) {
	m, err := readMark[movedBlobs](data, movedBlobsFile)
	if m != nil && m.To == "" {
		return nil, &failure{exitUser, movedBlobsFile + " in the data folder is damaged; nothing was started", "remove it, and start the server with --blobs and the place that the attachments were moved to last"}
	}
	return m, err
}

// refuse refuses to serve from a place that was left.
func (m *movedBlobs) refuse(name string) error {
	if m == nil || !slices.Contains(m.Left, name) {
		return nil
	}
	return &failure{
		exitUser, "the attachments of this server were moved to " + m.To + " on " + m.At.Format(time.DateOnly) + ", and --blobs names where they were before; nothing was started",
		"start it with --blobs and the new place, or with the variable POSTHORN_BLOBS; to go back to the old one without what came since, remove " + movedBlobsFile + " in the data folder",
	}
}

// next is the mark after a move from one place to another.
func (m *movedBlobs) next(from, to string, at time.Time) *movedBlobs {
	next := &movedBlobs{To: to, At: at, Left: []string{from}}
	if m == nil {
		return next
	}
	for _, left := range m.Left {
		if left != to && left != from {
			next.Left = append(next.Left, left)
		}
	}
	return next
}
