package store

import "fmt"

// Report is what a check of every record has found in a store.
type Report struct {
	Mailboxes int   `json:"mailboxes"` // open ones
	Dropped   int   `json:"dropped"`   // mailboxes that were dropped
	Envelopes int   `json:"envelopes"` // waiting in mailboxes
	Bytes     int64 `json:"bytes"`     // of their Data
	Values    int   `json:"values"`    // in the directory
	Pooled    int   `json:"pooled"`    // values waiting in pools
	Damaged   int   `json:"damaged"`   // records that are not as they were written

	// Problems describes the first hundred of the damaged ones. It names
	// mailboxes and numbers, and nothing that was stored.
	Problems []string `json:"problems"`
}

// maxProblems bounds what a report says about a store that is damaged through
// and through.
const maxProblems = 100

// NewReport is the report of a check that has found nothing yet.
func NewReport() Report { return Report{Problems: []string{}} }

// Damage adds a problem.
func (r *Report) Damage(format string, args ...any) {
	r.Damaged++
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}
