package server

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/store/memory"
)

// BenchmarkProvenLookups is the server's work for one look-up whose VRF proof it
// has, up to the bytes of the answer. All processors share it.
func BenchmarkProvenLookups(b *testing.B) {
	s := memory.New()
	l, err := ktlog.Open(b.Context(), ktlog.Options{
		Folder: filepath.Join(b.TempDir(), "kt"), KeysFolder: filepath.Join(b.TempDir(), "keys"), Records: s, Interval: time.Millisecond, Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a benchmark
	srv := New(s, Options{Transparency: l})
	srv.Prepare(b.Context())
	service := &directoryService{directory: srv.auth.directory}
	var list []kt.Record
	for i := range 1000 {
		list = append(list, kt.Record{})
		list[i].Name = account.Name(fmt.Sprintf("user%d", i))
		list[i].Account[0], list[i].Account[1] = byte(i), byte(i>>8)
		r := accountRecord{name: list[i].Name, statements: [][]byte{make([]byte, 5600)}}
		for key, value := range map[string][]byte{nameKey(r.name): list[i].Account[:], accountKey(list[i].Account): r.marshal()} {
			if _, err := s.CAS(b.Context(), key, 0, value); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.PublishAll(b.Context(), list); err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			answer, err := service.GetAccount(b.Context(), proving(byName(string(list[i%1000].Name))))
			if err == nil {
				_, err = proto.Marshal(answer)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
