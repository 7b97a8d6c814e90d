package arch

import (
	"path"
	"slices"
	"strings"
)

// layer says what a package may import of ours. A name ending in "/..." stands
// for the package and everything below it; the longest matching name counts.
// Only what is listed is allowed: no package reaches a sibling by accident.
type layer struct {
	pkg string
	may []string
	why string
}

var ground = []string{"internal/codec", "internal/reject", "internal/secret", "internal/xonly"}

func over(base []string, more ...string) []string { return append(slices.Clone(base), more...) }

var layers = []layer{
	// 0: no protocol words
	{"internal/clock", nil, "the product's time, shifted in test builds, is one for client and server"},
	{"internal/codec", nil, "bytes have no protocol; everything may stand on it"},
	{"internal/reject", nil, "the shape of a refusal is the same in every package"},
	{"internal/secret", nil, "a type that hides keys must be usable everywhere"},
	{"internal/xonly", nil, "one form of a curve point, known to account and pq3 alike"},
	{"internal/visible", nil, "text made safe for a terminal is text, whoever wrote it"},

	// 1: pure; bytes, time and randomness come in as arguments
	{"account", ground, "the server verifies rosters and bundles with it, so it may not know a session"},
	{"pq3", over(ground, "account"), "the protocol core stands alone: no transport, no storage, no content"},
	{"content", ground, "what a message says does not depend on how it was sealed"},
	{"kt", over(ground, "account"), "what the log says can be checked by anybody, without a server or a client"},
	{"invite", ground, "a link is text; both ends and both programs read it"},
	{"verification", over(ground, "account"), "what people compare is names and account ids, whoever carries it"},
	{"recovery", over(ground, "account"), "words on paper become a key, whatever the key may do"},
	{"pairing", over(ground, "account"), "what two devices say to each other before they share an account, whoever carries it"},
	{"attachment", ground, "a sealed file knows no message and no server"},

	// 2: the contract between client and server
	{"api/...", over(ground, "account", "api/..."), "both ends share words here, never behaviour"},

	// 2: the same conversation at every security level, for the attack lab
	{"suite", nil, "one face for all levels names none of them"},
	{"suite/seeded", nil, "chosen randomness is for simulations alone"},
	{"suite/level0", over(ground, "suite"), "a cloud chat has nothing of the protocol"},
	{"suite/level1", over(ground, "suite"), "published designs stand beside ours, not on it"},
	{"suite/level2", over(ground, "suite", "suite/level1"), "Level 2 is Level 1 with another start"},
	{"suite/level3sparse", over(ground, "suite", "suite/level1", "suite/level2"), "the same start and ratchet, and a KEM ratchet beside them"},
	{"suite/level3", over(ground, "account", "pq3", "suite"), "the product's sessions behind the face of the lab"},

	// 3: input and output, concurrency, clocks
	{"server/store", nil, "the storage contract names bytes and mailboxes, nothing of the protocol"},
	{"server/store/...", []string{"internal/codec", "internal/reject", "server/store"}, "an engine implements the contract and knows no service"},
	{"server/metrics", []string{"server/store"}, "counters know no service, and nobody by name"},
	{"server/archive", []string{"internal/codec", "internal/reject"}, "a backup is files, whatever is in them"},
	{"server/cert/...", []string{"internal/reject", "server/cert"}, "certificates know nothing of mailboxes"},
	{"server/blob/...", []string{"api/...", "server/blob"}, "a driver keeps bytes under ids and knows no service"},
	{"server/store/relocate", []string{"server/store"}, "it knows stores by their contract alone"},
	{"kt/witness", over(ground), "a witness knows logs by their checkpoints, and nothing of what is in them"},
	{"kt/log", over(ground, "account", "kt", "server/store"), "a log is kept in records of a store, and knows no service"},
	{"server/...", over(ground, "internal/clock", "account", "kt/...", "invite", "api/...", "server/..."), "a server that cannot import pq3 or content cannot read a message"},
	{"client/localdb", over(ground, "account", "content"), "rows, not ratchets: session state is sealed bytes to the database"},
	{"client/transport", over(ground, "account", "invite", "api/..."), "the network half of the engine knows envelopes only"},
	{"client/...", over(ground, "internal/clock", "account", "kt", "kt/witness", "invite", "pq3", "content", "attachment", "verification", "pairing", "recovery", "api/...", "client/..."), "the engine meets the server in api only"},

	// The attack lab. The attacker and what it holds never meet the simulation.
	{"attacklab/scenario", nil, "a scenario is text, whatever is done with it"},
	{"attacklab/harvest", nil, "a recording is bytes"},
	{"attacklab/compromise", nil, "so is a seized device"},
	{"attacklab/oracle", nil, "the oracle knows key pairs and nothing of their use"},
	{"attacklab/attack", over(ground, "account", "pq3", "suite/...", "attacklab/harvest", "attacklab/compromise"), "an attacker that could reach the simulation would prove nothing"},
	{"attacklab/simulation", []string{"suite/...", "attacklab/scenario", "attacklab/harvest", "attacklab/compromise", "attacklab/oracle"}, "the play knows no attacker"},
	{"attacklab/...", over(ground, "account", "pq3", "api/...", "suite/...", "attacklab/..."), "the lab works on the protocols and meets neither client nor server"},

	// 4: wiring
	{"cmd/posthorn-lab", []string{"attacklab/..."}, "the lab's program is the lab and a terminal"},
	{"cmd/posthornd", over(ground, "internal/clock", "account", "kt/...", "invite", "api/...", "server/..."), "the binary of the operator holds no code that could read a message"},
	{"cmd/posthorn", over(ground, "internal/visible", "account", "kt", "kt/witness", "invite", "pq3", "content", "verification", "pairing", "recovery", "api/...", "client/..."), "a client binary carries no server"},
	{"cmd/posthorn-demo", over(ground, "internal/clock", "internal/visible", "account", "kt/log", "invite", "pq3", "content", "api/...", "client/...", "server/..."), "the demo is the one program that is both ends"},
	{"internal/arch", nil, "the rules depend on nothing they judge"},
}

// forTests are packages that only tests import. They may import anything.
var forTests = []layer{
	{pkg: "pq3/pq3test", why: "deterministic entropy and scenario runner"},
	{pkg: "internal/refmodel", why: "a second implementation of SPEC, to compare with pq3"},
	{pkg: "server/blob/blobtest", why: "one suite for every place that keeps attachments"},
	{pkg: "server/blob/s3/s3test", why: "a private S3 server"},
	{pkg: "server/store/storetest", why: "one suite of semantics for every storage engine"},
	{pkg: "server/store/postgres/pgtest", why: "private PostgreSQL servers"},
	{pkg: "server/bus/bustest", why: "a real NATS server that tests may hurt"},
	{pkg: "server/servertest", why: "a real server on a loopback port"},
	{pkg: "api/apitest", why: "answers of a server that lies"},
	{pkg: "client/transport/newcomer", why: "devices that no server knows yet"},
	{pkg: "internal/vectors", why: "published test vectors and their count"},
	{pkg: "formal", why: "models of the protocol, and what decides their queries"},
	{pkg: "e2e", why: "stories over the built binaries"},
	{pkg: "internal/decodertest", why: "what every decoder promises, for fuzz targets"},
	{pkg: "internal/machine", why: "what a test needs of the machine, and whether it may be skipped"},
	{pkg: "bench", why: "the core beside the primitives it needs"},
	{pkg: "suite/suitetest", why: "one suite of properties for every security level"},
	{pkg: "internal/explorer", why: "drives the real sessions through every order of events, with deterministic entropy"},
}

// neverReach are packages whose whole import graph is barred from some other.
var neverReach = []layer{
	{"server", []string{"pq3", "content", "attachment", "client"}, "the server never holds code that could read a message"},
	{"cmd/posthornd", []string{"pq3", "content", "attachment", "client"}, "nor does its binary, through any path"},
	{"client", []string{"server"}, "client and server meet in api alone"},
	{"client", []string{"suite"}, "the lab's levels can be read by design, and its entropy is known"},
	{"server", []string{"suite"}, "the same"},
	{"cmd/posthorn", []string{"suite", "attacklab"}, "the same, for the binary that people use"},
	{"cmd/posthornd", []string{"suite", "attacklab"}, "the same, for the operator's"},
	{"attacklab/attack", []string{"attacklab/simulation", "attacklab/oracle", "suite/seeded"}, "the attacker has bytes and answers, by any path"},
	{"attacklab", []string{"client", "server"}, "the lab plays the protocols, not the product"},
}

func testOnly(pkg string) bool {
	return slices.ContainsFunc(forTests, func(l layer) bool { return within(pkg, l.pkg+"/...") })
}

// within reports whether a package falls under a name of the table.
func within(pkg, pattern string) bool {
	root, deep := strings.CutSuffix(pattern, "/...")
	return pkg == root || deep && strings.HasPrefix(pkg, root+"/")
}

// layerOf finds the row with the longest name that covers a package.
func layerOf(pkg string) (found layer, ok bool) {
	for _, l := range layers {
		if within(pkg, l.pkg) && len(l.pkg) > len(found.pkg) {
			found, ok = l, true
		}
	}
	return found, ok
}

// brokenLayers reports unknown packages and imports that no row allows.
func brokenLayers(r *repository) (broken []string) {
	for _, f := range r.code.shipped() {
		row, known := layerOf(f.pkg())
		if !known {
			broken = append(broken, f.path+": package "+f.pkg()+" has no row in internal/arch/layers.go")
			continue
		}
		for imported, pos := range f.imports() {
			folder, own := ours(imported)
			if own && !allows(row, folder) {
				broken = append(broken, f.at(pos)+": may not import "+folder+": "+row.why)
			}
		}
	}
	return broken
}

func allows(row layer, folder string) bool {
	return slices.ContainsFunc(row.may, func(p string) bool { return within(folder, p) })
}

// brokenReach reports barred packages found anywhere in an import graph.
func brokenReach(r *repository) (broken []string) {
	graph := importGraph(r.code)
	for _, bar := range neverReach {
		for from := range graph {
			if !within(from, bar.pkg+"/...") {
				continue
			}
			for _, reached := range reach(graph, from) {
				if allows(layer{may: deep(bar.may)}, reached) {
					broken = append(broken, from+" reaches "+reached+": "+bar.why)
				}
			}
		}
	}
	return broken
}

func deep(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n + "/..."
	}
	return out
}

// importGraph maps each shipped package to the packages of ours it imports.
func importGraph(t tree) map[string][]string {
	graph := map[string][]string{}
	for _, f := range t.shipped() {
		if _, seen := graph[f.pkg()]; !seen {
			graph[f.pkg()] = nil
		}
		for imported := range f.imports() {
			if folder, own := ours(imported); own {
				graph[f.pkg()] = append(graph[f.pkg()], folder)
			}
		}
	}
	return graph
}

func reach(graph map[string][]string, from string) []string {
	seen := map[string]bool{from: true}
	queue := []string{from}
	for i := 0; i < len(queue); i++ {
		for _, next := range graph[queue[i]] {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return queue[1:]
}

// brokenNames reports package names that say nothing.
func brokenNames(r *repository) (broken []string) {
	empty := []string{"util", "utils", "common", "manager", "helper", "helpers", "misc", "lib", "base", "shared", "data", "info", "process", "crypto"}
	for _, f := range r.code {
		if name := path.Base(f.pkg()); slices.Contains(empty, name) {
			broken = append(broken, f.path+": a package is named after what it does, not "+name)
		}
	}
	return broken
}
