# make alone prints the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 10000x
CASES ?= 1000000
STEPS ?= 10000
SEED ?= 0
CUTS ?= 100000
export PATH := $(CURDIR)/bin/tools:$(PATH)
# As the release is built: with a C compiler, Go would link C libraries that Pebble can use, and tests and benchmarks
# would run another program.
export CGO_ENABLED := 0

.PHONY: help
help: ## print the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: serve
serve: ## run a server
	$(GO) run ./cmd/watertight serve

.PHONY: build
build: ## build bin/watertight, without cgo
	$(GO) build -trimpath -o bin/watertight ./cmd/watertight

.PHONY: tools
tools: ## install what the tests need beyond Go (Debian)
	@tools/install.sh

.PHONY: lint
lint: ## gofmt, vet, staticcheck and the walls
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./test/arch

.PHONY: check
check: lint ## what to run before each commit, in about a minute: lint and unit tests
	$(GO) test ./internal/... ./cmd/...

.PHONY: fuzz
fuzz: ## run every fuzz target; FUZZTIME is a time or a count such as 10000x
	@tools/fuzz.sh $(FUZZTIME)

.PHONY: test
test: tools lint fuzz ## everything that must be true, in one go; installs what it needs (Debian)
	WATERTIGHT_REQUIRE_TOOLS=1 $(GO) test -timeout 30m ./...
	$(GO) test -timeout 30m ./internal/access/policy -run Random -cases $(CASES) -v
	$(MAKE) sim

.PHONY: sim
sim: ## a server against a model of S3, through crashes; STEPS operations, SEED repeats a run
	$(GO) test ./test/sim -count=1 -timeout 2h -v -run '^TestSim$$' -steps $(STEPS) -seed $(SEED)

.PHONY: power
power: ## a server whose power is cut CUTS times, on a disk that keeps only what was synced; SEED begins alike
	$(GO) test ./test/power -count=1 -timeout 24h -v -run Cuts -cuts $(CUTS) -seed $(SEED)

.PHONY: conformance
conformance: tools ## an independent suite's tests of S3, IAM and STS; ONLY is a regular expression of names
	WATERTIGHT_REQUIRE_TOOLS=1 $(GO) test -timeout 30m ./test/conformance -only '$(ONLY)'

.PHONY: http-cache
http-cache: tools ## an independent suite's tests of HTTP caches, against the CDN; ONLY is a regular expression of names
	WATERTIGHT_REQUIRE_TOOLS=1 $(GO) test ./test/conformance -count=1 -run '^TestHTTPCache$$' -only '$(ONLY)' -v

.PHONY: bench
bench: ## speed of a fresh server on this machine, beside a bare handler of net/http; about 5 minutes
	$(GO) run ./test/bench $(BENCH)

.PHONY: bench-peers
bench-peers: ## the same beside MinIO and versitygw; writes docs/benchmarks, in about 12 minutes. BENCH is further flags
	@tools/peers/build.sh
	$(GO) build -o bin/bench ./test/bench
	bin/bench -out docs/benchmarks -kms-peer minio-encrypted=tools/peers/minio-encrypted.sh \
		-peer versitygw=tools/peers/versitygw.sh $(BENCH)

.PHONY: race
race: ## the unit tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./internal/...
