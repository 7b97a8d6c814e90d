package arch

import (
	"regexp"
	"strings"
)

// requirement is one line of go.mod's require blocks.
type requirement struct {
	module   string
	indirect bool
	reason   string // the comment, without "indirect"
}

var requireLine = regexp.MustCompile(`^(?:require )?\t?([a-z0-9.-]+\.[a-z]+/\S+) v\S+(?: // (.*))?$`)

func requirements(gomod string) (list []requirement) {
	for _, line := range strings.Split(gomod, "\n") {
		m := requireLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		reason, indirect := strings.CutPrefix(m[2], "indirect")
		list = append(list, requirement{m[1], indirect, strings.Trim(reason, "; ")})
	}
	return list
}

// brokenRequirements reports modules that our code imports without a reason in
// go.mod, and modules marked direct that nothing imports.
func brokenRequirements(r *repository) (broken []string) {
	used := importedModules(r)
	for _, req := range requirements(r.texts["go.mod"]) {
		switch {
		case used[req.module] && req.indirect:
			broken = append(broken, "go.mod: "+req.module+" is imported, so it is not indirect")
		case used[req.module] && len(req.reason) < 10:
			broken = append(broken, "go.mod: "+req.module+" has no reason beside it")
		case !used[req.module] && !req.indirect:
			broken = append(broken, "go.mod: "+req.module+" is imported by nothing")
		}
	}
	return broken
}

// importedModules finds which required modules our files import.
func importedModules(r *repository) map[string]bool {
	used := map[string]bool{}
	modules := requirements(r.texts["go.mod"])
	for _, f := range r.code {
		for imported := range f.imports() {
			if m := moduleOf(modules, imported); m != "" {
				used[m] = true
			}
		}
	}
	return used
}

func moduleOf(modules []requirement, imported string) (longest string) {
	for _, m := range modules {
		if within(imported, m.module+"/...") && len(m.module) > len(longest) {
			longest = m.module
		}
	}
	return longest
}

// supplier says which packages may import a module from outside, and why the
// others may not. What is not listed is allowed nowhere in shipped code.
type supplier struct {
	module string
	users  []string
	why    string
}

var suppliers = []supplier{
	{"filippo.io/mldsa", []string{"account", "pq3", "client/...", "api/..."}, "the one primitive that the standard library lacks until Go 1.27"},
	{"filippo.io/mostly-harmless/vrf-r255", []string{"kt"}, "one place knows how names are hidden"},
	{"github.com/transparency-dev/formats", []string{"kt/..."}, "checkpoints and cosignatures belong to the log"},
	{"github.com/transparency-dev/merkle", []string{"kt/..."}, "so do Merkle proofs"},
	{"golang.org/x/mod", []string{"kt/..."}, "and signed notes"},
	{"github.com/transparency-dev/tessera", []string{"kt/log"}, "one place keeps tiles"},
	{"k8s.io/klog/v2", []string{"kt/log"}, "what tessera would print is silenced where it is used"},
	{"connectrpc.com/connect/v2", []string{"api/...", "server", "client/...", "cmd/..."}, "RPC belongs to the two ends of the wire"},
	{"google.golang.org/protobuf", []string{"api/...", "server", "client/..."}, "messages of the wire stay at the wire"},
	{"github.com/cockroachdb/pebble/v2", []string{"server/store/pebble"}, "one engine, one folder"},
	{"github.com/caddyserver/certmagic", []string{"server/cert/authority"}, "one place asks certificate authorities"},
	{"go.uber.org/zap", []string{"server/cert/authority"}, "certmagic wants a logger to be silent with"},
	{"gocloud.dev", []string{"server/blob/s3"}, "one place for attachments, one folder"},
	{"github.com/jackc/pgx/v5", []string{"server/store/postgres"}, "one engine, one folder"},
	{"github.com/prometheus/client_golang", []string{"server/metrics"}, "one place knows how Prometheus reads"},
	{"github.com/prometheus/client_model", []string{"server/store/pebble"}, "the form in which the engine keeps the times of its syncs"},
	{"github.com/ncruces/go-sqlite3", []string{"client/localdb"}, "only the database knows SQL"},
	{"github.com/zalando/go-keyring", []string{"client/localdb", "client"}, "the database key comes from the system's key store"},
	{"github.com/gofrs/flock", []string{"client/localdb", "kt/witness", "cmd/posthornd"}, "one process for a folder"},
	{"github.com/google/renameio/v2", []string{"client/localdb"}, "key files are replaced in one step"},
	{"github.com/adrg/xdg", []string{"cmd/posthorn"}, "where a profile lives by default is the program's choice"},
	{"golang.org/x/crypto", []string{"client/localdb"}, "Argon2id turns a passphrase into a key; the protocol needs nothing from here"},
	{"github.com/pelletier/go-toml/v2", []string{"cmd/posthornd"}, "a configuration file is the program's face, like its options"},
	{"github.com/nats-io/nats.go", []string{"server/bus"}, "one way between nodes, one folder"},
	{"golang.org/x/time", []string{"server"}, "rates are limited at the door"},
	{"golang.org/x/term", []string{"cmd/..."}, "only programs talk to terminals"},
	{"rsc.io/qr", []string{"cmd/posthorn"}, "only a terminal shows a code to a camera"},
	{"golang.org/x/sys", []string{"cmd/...", "client/localdb"}, "system calls that the standard library does not wrap"},
	{"github.com/spf13/cobra", []string{"cmd/..."}, "commands and flags are the program's face"},
	{"github.com/spf13/pflag", []string{"cmd/..."}, "flag types that cobra shares"},
}

// brokenSuppliers reports outside modules in packages that do without them.
func brokenSuppliers(r *repository) (broken []string) {
	for _, f := range r.code.shipped() {
		for imported, pos := range f.imports() {
			outside := strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
			if _, own := ours(imported); own || !outside {
				continue
			}
			if why := refused(f.pkg(), imported); why != "" {
				broken = append(broken, f.at(pos)+": may not import "+imported+": "+why)
			}
		}
	}
	return broken
}

func refused(pkg, imported string) (why string) {
	for _, s := range suppliers {
		if within(imported, s.module+"/...") {
			if allows(layer{may: s.users}, pkg) {
				return ""
			}
			return s.why
		}
	}
	return "the module has no row in internal/arch/gomod.go"
}
