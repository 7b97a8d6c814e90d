package memory_test

import (
	"testing"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
	"github.com/posthorn/posthorn/server/store/storetest"
)

// opener reopens one memory store again and again.
type opener struct{ last *memory.Store }

func (o *opener) Open(*testing.T) store.Store {
	o.last = o.last.Reopen()
	return o.last
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Opener { return &opener{memory.New()} })
}
