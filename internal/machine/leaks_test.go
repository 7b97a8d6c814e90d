package machine

import (
	"testing"
	"time"
)

// A goroutine that stays is named, and one that ends late is not.
func TestGoroutinesThatAreLeft(t *testing.T) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { <-end; close(ended) }()
	if left(0) == nil {
		t.Error("a goroutine that waits is not found")
	}
	late := time.AfterFunc(2*time.Second, func() { close(end) }) // longer than one look takes
	defer late.Stop()
	if err := left(2 * time.Minute); err != nil {
		t.Error(err)
	}
	<-ended
}
