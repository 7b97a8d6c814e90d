package log

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

// What may be asked for, in the form of C2SP tlog-tiles.
var tilePath = regexp.MustCompile(`^tile/([0-5]|entries)/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$`)

// Files gives out one of the two logs as files: "checkpoint" and "tile/...". The
// checkpoint of R is the newest published one. Give it what follows the log's
// name in the path.
func (l *Log) Files(w http.ResponseWriter, r *http.Request, updates bool, path string) {
	if path == "checkpoint" {
		l.giveCheckpoint(w, r, updates)
		return
	}
	if !tilePath.MatchString(path) {
		http.NotFound(w, r)
		return
	}
	folder := l.tiles.roots.folder
	if updates {
		folder = l.tiles.updates.folder
	}
	raw, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "max-age=31536000, immutable")
	_, _ = w.Write(raw)
}

func (l *Log) giveCheckpoint(w http.ResponseWriter, r *http.Request, updates bool) {
	var signed []byte
	if s := l.served.Load(); !updates && s != nil {
		signed = s.checkpoint
	}
	if updates {
		signed, _ = l.tiles.updates.signed(r.Context())
	}
	if len(signed) == 0 {
		http.Error(w, "the log is being read", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(signed)
}
