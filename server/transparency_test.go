package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// openLogged starts a server with a log.
func openLogged(t *testing.T, s store.Store, options Options) *office {
	t.Helper()
	l, err := ktlog.Open(t.Context(), ktlog.Options{
		Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"),
		Records: s, Interval: time.Millisecond, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	options.OpenRegistration, options.Transparency, options.Limits = true, l, limitless()
	t.Cleanup(func() { _ = l.Close() })
	o := openOver(t, s, options)
	o.srv.Prepare(t.Context())
	if err := o.srv.Ready(); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) transparency() posthornv1connect.TransparencyServiceClient {
	return posthornv1connect.NewTransparencyServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, "http://"+o.addr)))
}

// pinned is the policy as a device takes it from a server that it meets first.
func (o *office) pinned() (*kt.Policy, *posthornv1.GetHeadResponse) {
	o.t.Helper()
	head, err := o.transparency().GetHead(o.t.Context(), &posthornv1.GetHeadRequest{})
	if err != nil {
		o.t.Fatal(err)
	}
	config, err := kt.ParseConfig(head.GetConfig())
	if err != nil {
		o.t.Fatal(err)
	}
	policy, err := kt.NewPolicy([]byte(head.GetPolicy()), config)
	if err != nil {
		o.t.Fatal(err)
	}
	c, err := policy.Checkpoint(head.GetCheckpoint())
	if err != nil {
		o.t.Fatal(err)
	}
	var inclusion [][32]byte
	for _, h := range head.GetConfigInclusion() {
		inclusion = append(inclusion, [32]byte(h))
	}
	if err := c.Includes(head.GetConfig(), 0, inclusion); err != nil {
		o.t.Fatal(err)
	}
	return policy, head
}

func proving(r *posthornv1.GetAccountRequest) *posthornv1.GetAccountRequest {
	r.Known = &posthornv1.KnownHead{}
	return r
}

// lookUp asks for a name with a proof, and checks it as a device does.
func (o *office) lookUp(by *person, policy *kt.Policy, name string) *posthornv1.GetAccountResponse {
	o.t.Helper()
	got, err := by.line.directory.GetAccount(bearer(o.t, by.token), proving(byName(name)))
	if err != nil {
		o.t.Fatal(err)
	}
	answer, err := kt.ParseAnswer(got.GetProof())
	if err != nil {
		o.t.Fatal(err)
	}
	var record *kt.Record
	if len(got.GetStatements()) > 0 {
		roster, err := account.ReplayRoster(got.GetStatements())
		if err != nil {
			o.t.Fatal(err)
		}
		r := kt.RecordOf(account.Name(name), roster)
		record = &r
	} else if len(got.GetAccountId()) > 0 {
		record = &kt.Record{Name: account.Name(name), Account: account.ID(got.GetAccountId()), Seq: ktlog.DeletedSeq}
	}
	if _, err := policy.Verify(answer, account.Name(name), record, kt.Known{}, time.Now()); err != nil {
		o.t.Fatalf("the proof about %s: %v", name, err)
	}
	return got
}

func TestLookupsAreProved(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openLogged(t, s, Options{})
		alice, bob := o.join("alice"), o.join("bob")
		policy, _ := o.pinned()
		if got := o.lookUp(bob, policy, "alice"); !bytes.Equal(got.GetAccountId(), alice.party.Account[:]) {
			t.Error("another account")
		}
		if got := o.lookUp(bob, policy, "nobody"); len(got.GetStatements()) != 0 || len(got.GetAccountId()) != 0 {
			t.Error("an account that nobody has")
		}
		byid, err := bob.line.directory.GetAccount(bearer(t, bob.token), proving(byID(alice.party.Account[:])))
		if err != nil || byid.GetName() != "alice" || len(byid.GetProof()) == 0 {
			t.Errorf("by id: %v, %v", byid.GetName(), err)
		}
		_, err = bob.line.directory.GetAccount(bearer(t, bob.token), byName("nobody"))
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAccount)
		history, err := o.transparency().GetHistory(bearer(t, alice.token), &posthornv1.GetHistoryRequest{})
		if err != nil || len(history.GetVersions()) != 1 {
			t.Fatalf("%d versions, %v", len(history.GetVersions()), err)
		}
		r, err := kt.ParseRecord(history.GetVersions()[0].GetRecord())
		if err != nil || r.Name != "alice" || r.Account != alice.party.Account {
			t.Errorf("another record, %v", err)
		}
	})
}

// An answer tells by its length neither whether a name exists nor whose it is.
func TestProofsOfNobodyAreAsLong(t *testing.T) {
	o := openLogged(t, memory.New(), Options{})
	bob := o.join("bob")
	o.join("alice")
	policy, _ := o.pinned()
	lengths := map[int]bool{}
	for _, name := range []string{"alice", "bob", "nobody", "a-name-of-thirty-two-characters.", "abc"} {
		lengths[proto.Size(o.lookUp(bob, policy, name))] = true
	}
	if len(lengths) != 1 {
		t.Errorf("answers of %d lengths: %v", len(lengths), lengths)
	}
}

// Accounts from before the log are in it before anybody is looked up.
func TestAccountsFromBeforeTheLog(t *testing.T) {
	s := memory.New()
	before := openOver(t, s, Options{OpenRegistration: true})
	for _, name := range []string{"alice", "bob", "carol"} {
		before.join(name)
	}
	half := before.newPerson("half") // claimed, and never bound
	request := half.registration()
	a, err := (&directoryService{directory: before.srv.auth.directory, auth: before.srv.auth, open: true}).examine(t.Context(), "half", request, time.Now())
	if err == nil || a.Account != half.party.Account { // its proof is for another host; the rest is enough here
		a.Party, a.name, a.statement = half.party, "half", half.statement
	}
	if err := (&directoryService{directory: before.srv.auth.directory}).claimAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	before.close()

	o := openLogged(t, s, Options{})
	dave := o.join("dave")
	policy, _ := o.pinned()
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		if got := o.lookUp(dave, policy, name); len(got.GetStatements()) == 0 {
			t.Errorf("%s is not in the log", name)
		}
	}
	if got := o.lookUp(dave, policy, "half"); len(got.GetStatements()) != 0 {
		t.Error("a name that nobody has is in the log")
	}
}

// The log shows that an account is gone, and keeps nothing that opens what it
// had logged before.
func TestDeletedAccountsInTheLog(t *testing.T) {
	s := memory.New()
	o := openLogged(t, s, Options{})
	alice, bob := o.join("alice"), o.join("bob")
	policy, _ := o.pinned()
	before, err := s.Scan(t.Context(), "kt/label/alice", "", 10)
	if err != nil || len(before) != 1 {
		t.Fatal(err)
	}
	for range 2 { // the second time finishes what is finished
		if err := o.srv.Delete(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	got := o.lookUp(bob, policy, "alice")
	if len(got.GetStatements()) != 0 || !bytes.Equal(got.GetAccountId(), alice.party.Account[:]) {
		t.Errorf("%d statements of a deleted account", len(got.GetStatements()))
	}
	_, err = bob.line.directory.GetAccount(bearer(t, bob.token), byName("alice"))
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAccount)
	after, err := s.Scan(t.Context(), "kt/label/alice", "", 10)
	if err != nil || len(after) != 1 {
		t.Fatal(err)
	}
	opening := before[0].Val[4+4+32+32:][:16]
	if bytes.Contains(after[0].Val, opening) || !bytes.Contains(after[0].Val, before[0].Val[4+4+32:][:32]) {
		t.Error("the opening is still there, or the commitment is not")
	}
}

func (o *office) fetch(path, token string) (status int, body []byte) {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://"+o.addr+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer.StatusCode, body
}

// Everybody gets the log of roots; that of updates is for accounts.
func TestFilesOfTheLog(t *testing.T) {
	o := openLogged(t, memory.New(), Options{})
	alice := o.join("alice")
	policy, head := o.pinned()
	status, checkpoint := o.fetch("/kt/roots/checkpoint", "")
	if c, err := policy.Checkpoint(checkpoint); status != http.StatusOK || err != nil || c.Size < 3 || !bytes.Equal(checkpoint, head.GetCheckpoint()) {
		t.Errorf("checkpoint: %d, %v", status, err)
	}
	for path, want := range map[string][2]int{
		"/kt/roots/tile/0/000.p/3":             {200, 200},
		"/kt/roots/tile/entries/000.p/3":       {200, 200},
		"/kt/updates/checkpoint":               {401, 200},
		"/kt/updates/tile/entries/000.p/1":     {401, 200},
		"/kt/roots/tile/0/001":                 {404, 404},
		"/kt/roots/.state/treeState":           {404, 404},
		"/kt/roots/tile/../.state/treeState":   {404, 404},
		"/kt/roots/tile/%2e%2e/%2e%2e/x":       {404, 404},
		"/kt/updates/tile/entries/../../x":     {401, 404},
		"/kt/updates/tile/entries/000.p/1.bak": {401, 404},
	} {
		for i, token := range []string{"", alice.token} {
			if status, _ := o.fetch(path, token); status != want[i] {
				t.Errorf("%s with token %v: %d, want %d", path, i == 1, status, want[i])
			}
		}
	}
	if status, _ := o.fetch("/kt/updates/checkpoint", "garbage"); status != http.StatusUnauthorized {
		t.Errorf("with garbage for a token: %d", status)
	}
	public := openLogged(t, memory.New(), Options{LogPublic: true})
	if status, _ := public.fetch("/kt/updates/checkpoint", ""); status != http.StatusOK {
		t.Errorf("of a public log: %d", status)
	}
}

// An auditor gets everything that leads to the published roots.
func TestUpdatesForAuditors(t *testing.T) {
	o := openLogged(t, memory.New(), Options{})
	var bob *person
	for _, name := range []string{"alice", "bob", "carol"} {
		bob = o.join(name)
	}
	policy, _ := o.pinned()
	replayed, next := kt.NewReplay(), uint64(0)
	var checkpoint []byte
	for {
		page, err := o.transparency().GetUpdates(bearer(t, bob.token), &posthornv1.GetUpdatesRequest{Epoch: next})
		if err != nil {
			t.Fatal(err)
		}
		checkpoint = page.GetCheckpoint()
		if len(page.GetEpochs()) == 0 {
			break
		}
		for _, e := range page.GetEpochs() {
			if next++; next == 1 {
				continue
			}
			for _, raw := range e.GetUpdates() {
				u, err := kt.ParseUpdate(raw)
				if err = errors.Join(err, replayed.Add(u)); err != nil {
					t.Fatal(err)
				}
			}
			root, err := kt.ParseRoot(e.GetRoot())
			if err = errors.Join(err, replayed.Check(root)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := policy.Checkpoint(checkpoint)
	if err != nil || c.Size != next || replayed.Size() != 3 {
		t.Errorf("%d epochs and %d updates under a checkpoint of %d, %v", next, replayed.Size(), c.Size, err)
	}
}

// V-200: a proof is asked for between two sizes that there are.
func TestV200SizesOfTheLog(t *testing.T) {
	o := openLogged(t, memory.New(), Options{})
	o.join("alice")
	_, head := o.pinned()
	policy, _ := o.pinned()
	c, err := policy.Checkpoint(head.GetCheckpoint())
	if err != nil {
		t.Fatal(err)
	}
	for _, sizes := range [][2]uint64{{0, 2}, {2, 2}, {3, 2}, {1, c.Size + 1}} {
		_, err := o.transparency().GetConsistency(t.Context(), &posthornv1.GetConsistencyRequest{From: sizes[0], To: sizes[1]})
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	}
	for _, sizes := range [][2]uint64{{1, 2}, {1, c.Size}, {2, c.Size}} {
		got, err := o.transparency().GetConsistency(t.Context(), &posthornv1.GetConsistencyRequest{From: sizes[0], To: sizes[1]})
		if err != nil || slices.ContainsFunc(got.GetProof(), func(h []byte) bool { return len(h) != 32 }) || len(got.GetProof()) == 0 {
			t.Errorf("%v: %d hashes, %v", sizes, len(got.GetProof()), err)
		}
	}
}

// V-288: a policy is asked for by a number that there is, and for a published size
// that comes after it.
func TestV288PoliciesOfTheLog(t *testing.T) {
	o := openLogged(t, memory.New(), Options{})
	o.join("alice")
	first, _ := o.pinned()
	if err := o.srv.options.Transparency.SetPolicy(t.Context(), []byte("quorum none\n")); err != nil {
		t.Fatal(err)
	}
	ask := func(number uint32, size uint64) (*posthornv1.GetPolicyResponse, error) {
		return o.transparency().GetPolicy(t.Context(), &posthornv1.GetPolicyRequest{Number: number, Size: size})
	}
	_, err := ask(1, 3)
	wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest) // it is the one that the log began with
	key, err := note.NewEd25519VerifierKey("w", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.srv.options.Transparency.SetPolicy(t.Context(), fmt.Appendf(nil, "witness w %s -\nquorum none\n", key)); err != nil {
		t.Fatal(err)
	}
	_, head := o.pinned()
	size, _, err := first.Signed(head.GetCheckpoint())
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		number uint32
		size   uint64
	}{{0, size}, {2, size}, {1, 2}, {1, size + 1}} {
		_, err := ask(try.number, try.size)
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	}
	got, err := ask(1, size)
	if err != nil {
		t.Fatal(err)
	}
	change, err := kt.ParseChange(got.GetChange())
	if err != nil {
		t.Fatal(err)
	}
	if p, err := first.Follow([]*kt.Change{change}, head.GetCheckpoint()); err != nil || p.Standing().Number != 1 {
		t.Errorf("%v", err)
	}
}
