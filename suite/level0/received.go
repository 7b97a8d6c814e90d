package level0

import (
	"slices"

	"github.com/posthorn/posthorn/suite"
)

// received are the numbers of the records that arrived on one direction of a
// connection: all below next but the missing ones, which ascend.
type received struct {
	next    uint64
	missing []uint64
}

// maxMissing is how many overtaken records may still arrive.
const maxMissing = 1024

// with notes one more number, and refuses one that was there before.
func (r received) with(number uint64) (received, error) {
	if number < r.next {
		i, waited := slices.BinarySearch(r.missing, number)
		if !waited {
			return r, suite.Refuse(level, suite.ErrReplay, "a record with this number was received")
		}
		return received{r.next, slices.Delete(slices.Clone(r.missing), i, i+1)}, nil
	}
	if number-r.next > uint64(maxMissing-len(r.missing)) {
		return r, suite.Refuse(level, suite.ErrLimit, "more than 1,024 records are missing")
	}
	missing := slices.Clone(r.missing)
	for n := r.next; n < number; n++ {
		missing = append(missing, n)
	}
	return received{number + 1, missing}, nil
}
