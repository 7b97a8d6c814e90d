# Everything a developer runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TIME ?= 30s
STATES ?= 1000000
N ?= 10000000
SOAK ?= 30m
SIZE ?= 1024
TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: check
check: ## all that CI runs
	.ci/run

.PHONY: test
test: ## the whole test suite, without the network
	go test ./...

.PHONY: lint
lint: ## format, vet, static analysis, schema, and the rules of internal/arch
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) buf lint
	go test ./internal/arch

.PHONY: secrets
secrets: ## the test hooks, and the search of memory and files for erased secrets
	go test -tags testhooks ./internal/secret ./internal/clock
	GOEXPERIMENT=runtimesecret go test ./internal/secret
	go test -tags testhooks ./e2e -v -run 'TestClock|TestHooksRecord|TestScan|TestErased'

.PHONY: cluster-faults
cluster-faults: ## kill, hang and cut off each part of a cluster under load; needs PostgreSQL and nats-server
	go test ./e2e -v -count=1 -run 'TestClusterFaults|TestThreeNodes|TestQuietNodes'

.PHONY: attachment
attachment: ## one file of SIZE=1024 MiB through client and server, with the heap and the memory of the programs
	POSTHORN_TEST_ATTACHMENT_MIB=$(SIZE) go test ./client -run 'TestTransfersTakeLittleMemory' -count=1 -v -timeout 30m
	POSTHORN_TEST_ATTACHMENT_MIB=$(SIZE) go test ./e2e -run 'TestAttachmentTakesLittleMemory' -count=1 -v -timeout 30m

.PHONY: bench
bench: ## the core beside its floor; the figures go into the documents
	go test ./bench -run Ratios -ratios -write -count 1 -v
	go test -run '^$$' -bench . -benchmem ./bench ./pq3/... ./account/... ./content/...

.PHONY: compare
compare: ## posthornd beside ejabberd, Prosody and Mosquitto, and its own figures (root installs them)
	@command -v ejabberdctl prosody mosquitto >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && \
		apt-get install -qy --no-install-recommends ejabberd prosody mosquitto; }
	go run ./bench/compare

.PHONY: siege
siege: ## how long good clients wait alone and while others attack posthornd, in turns
	go run ./bench/compare --part own --only attack

.PHONY: explore
explore: ## explore STATES=1000000 states of the real session code
	GOGC=400 go test ./internal/explorer -run 'TestExplore$$' -count=1 -v -timeout 3h -args -states $(STATES)

.PHONY: faults
faults: ## kill posthornd at every operation, cut its power, break its disk: all of it
	go test ./e2e/faults -count=1 -v -timeout 2h -run '^Test[^S]' -args -whole

.PHONY: soak
soak: ## load one posthornd for SOAK=30m with faults: nothing is lost, and it stays as big as it was
	nice go test ./e2e/faults -count=1 -v -timeout 24h -run TestSoak -args -soak $(SOAK)

.PHONY: spin
spin: ## the mailbox model and its mutants, with Spin
	formal/run-spin

.PHONY: fuzz
fuzz: ## fuzz every target for TIME=30s each, or one: T=pq3/FuzzOpen
	.ci/fuzz $(TIME) $(T)

.PHONY: fuzz-count
fuzz-count: ## N=10000000 executions of each decoder, with a table; goes on after a stop
	.ci/fuzz $(N)x $(T)

.PHONY: mutation
mutation: ## change pq3 operator by operator and want a test to fail, or one file: F=session.go
	.ci/mutation $(F)

.PHONY: seeds
seeds: ## rewrite the seeds of the fuzz targets; read the diff before you commit it
	go test $$(grep -rl --include='*_test.go' 'decodertest.Seed(' . | xargs -n1 dirname | sort -u) -run '^Fuzz' -seeds

.PHONY: vectors
vectors: ## rewrite the golden files; read the diff before you commit it
	@for p in $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n1 dirname | sort -u); do \
		go test $$p -run 'Golden|Vectors|DependencyLists' -update || exit 1; done

.PHONY: lab
lab: ## run the attack lab; its tables and charts go into README and docs
	@mkdir -p docs/lab
	go test ./attacklab/report -run TestDocumentsAreFresh -count 1 -v -args -write

.PHONY: demo
demo: ## a server and two people in this terminal
	go run ./cmd/posthorn-demo

.PHONY: proto
proto: ## generate the Go code of the schema
	$(TOOL) buf generate

.PHONY: tools
tools: ## build the pinned tools once; later calls find them in the build cache
	@for t in buf staticcheck govulncheck; do $(TOOL) -n $$t; done
