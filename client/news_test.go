package client

import (
	"bytes"
	"errors"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/decodertest"
)

func someNews() map[string]news {
	m := mark{account: account.ID{1}, id: content.ID{2}, hash: [32]byte{3}}
	return map[string]news{
		"sent":      newsSent{account.ID{1}, "bob", []byte("frame")},
		"shown":     newsShown{m, m},
		"contact":   newsContact{account.ID{1}, "bob", localdb.Blocked, 7, 8},
		"name":      newsName{localdb.DeviceName{Device: account.DeviceID{1}, Name: "laptop", At: 5}},
		"delivered": newsDelivered{m},
	}
}

func TestV221NewsThatAreRefused(t *testing.T) {
	for name, n := range someNews() {
		good := n.marshal()
		if _, err := parseNews(n.what(), good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, b := range map[string][]byte{"cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "nothing": nil} {
			if _, err := parseNews(n.what(), b); !errors.Is(err, ErrNews) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if _, err := parseNews(99, []byte{1}); !errors.Is(err, ErrNews) {
		t.Errorf("an unknown kind: %v", err)
	}
	former := newsContact{account.ID{1}, "bob", localdb.Former, 0, 0}
	if _, err := parseNews(whatContact, former.marshal()); !errors.Is(err, ErrNews) {
		t.Errorf("a state that no device tells: %v", err)
	}
}

// FuzzNews: what parseNews accepts, it writes back byte for byte.
func FuzzNews(f *testing.F) {
	for name, n := range someNews() {
		decodertest.Seed(f, name, n.what(), n.marshal())
	}
	f.Fuzz(func(t *testing.T, what uint8, b []byte) {
		n, err := parseNews(what, b)
		if err != nil {
			return
		}
		if n.what() != what || !bytes.Equal(n.marshal(), b) {
			t.Fatalf("kind %d was read as something else", what)
		}
	})
}
