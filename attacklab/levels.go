package attacklab

import (
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level0"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/level3sparse"
)

// Level is one protocol in the lab.
type Level struct {
	Key     string // what --level takes: "0", "1", "2", "3", "3A", "3-sparse"
	Name    string // the protocol
	Meaning string
	Apps    string // the examples of Apple's chart of 2024, and what is not in it
	Suite   suite.Suite
}

// Levels are all of them, lowest first.
func Levels() []Level {
	return []Level{
		{"0", "cloud chat", "no end-to-end encryption by default", "QQ, Skype, Telegram, WeChat", level0.Level0{}},
		{"1", "X3DH and Double Ratchet", "end-to-end encryption by default, classical only", "WhatsApp, Line, Viber, earlier Signal and iMessage", level1.New()},
		{"2", "PQXDH and Double Ratchet", "post-quantum key establishment only", "Signal with PQXDH", level2.New()},
		{"3", "PQ3 as published", "post-quantum establishment and ongoing post-quantum rekeying", "iMessage with PQ3; after the chart, Signal with its SPQR ratchet of October 2025", level3.New(level3.Options{Suite: account.PQ3})},
		{"3A", "Posthorn", "level 3 with post-quantum authentication", "Posthorn, by default; not in the chart", level3.New(level3.Options{Suite: account.PQ3A})},
		{"3-sparse", "sparse KEM ratchet", "level 3 with the KEM ratchet in small pieces on every message", "none; here for comparison, in the manner of Signal's SPQR, but without its incremental ML-KEM and therefore slower to heal", level3sparse.New()},
	}
}

// LevelOf finds a level by its key.
func LevelOf(key string) (Level, bool) {
	all := Levels()
	i := slices.IndexFunc(all, func(l Level) bool { return l.Key == key })
	if i < 0 {
		return Level{}, false
	}
	return all[i], true
}
