# What people and CI run. A new clone needs Go and `make test`; the tools are pinned in tools/go.mod.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Without a tag or a checkout this is empty, and `clerksync version` shows Go's own build information.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
ARGS ?=
FUZZTIME ?= 1m
SOAKTIME ?=
USERS ?= 100000
BASE ?=
ifdef QUICK # to try it
COUNT ?= 1
BENCHTIME ?= 20ms
BENCH_USERS ?= 1000
BENCH_FLAGS ?= -rounds 1 -for 500ms -out bin/bench
else
COUNT ?= 6
BENCHTIME ?= 200ms
BENCH_USERS ?= 1000000
BENCH_FLAGS ?=
endif

tool := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/clerksync
	go build -trimpath -buildvcs=auto -ldflags "-X main.version=$(VERSION)" -o bin/clerksync ./cmd/clerksync

.PHONY: dev
dev: inngest build ## everything on this machine, no configuration (ARGS="...": arguments of clerksync dev)
	bin/clerksync dev $(ARGS)

.PHONY: inngest
inngest: ## the Inngest Dev Server, for dev and test
	@tools/inngest/install.sh

.PHONY: test
test: inngest ## all tests, with the race detector, and vet
	go test -race -vet=all -timeout 12m ./...

.PHONY: e2e
e2e: inngest ## only the tests of the finished binary against real servers
	go test -race -timeout 12m ./test/...

.PHONY: test-users
test-users: ## backfill, repair and check of USERS (100000) who change meanwhile, by an API that fails, with a kill; in five minutes
	CLERKSYNC_USERS=$(USERS) go test -count=1 -timeout 0 -v -run TestManyUsersInAStream ./test

.PHONY: test-fleet
test-fleet: inngest ## three replicas behind deploy/Caddyfile, Inngest on PostgreSQL and Redis: replaced and killed under load, and their throughput
	tools/fleet.sh
	go vet -C tools/deploy ./proxy
	go test -C tools/deploy -count=1 ./proxy
	go test -tags fleet -count=1 -timeout 30m -v -run TestFleet ./test

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (1m)
	@pkgs=$$(go list ./...); \
	for pkg in $$pkgs; do \
		targets=$$(go test -list '^Fuzz' "$$pkg"); \
		for target in $$(grep '^Fuzz' <<<"$$targets" || true); do \
			echo "== $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x "$$pkg"; \
		done; \
	done

.PHONY: soak
soak: inngest ## a million random histories (or for SOAKTIME=30m), every interleaving of three writers, the faults in larger numbers
	@mkdir -p bin
	go test -c -o bin/store.test ./store # which prints what it counted, as go test does not
	cd store && CLERKSYNC_SOAK=1 ../bin/store.test -test.run TestEveryInterleaving
	cd store && CLERKSYNC_SOAK=1 SOAKTIME=$(SOAKTIME) ../bin/store.test -test.run TestHistories
	CLERKSYNC_SOAK=1 go test -count=1 -timeout 0 -v -run InAStream ./test

.PHONY: bench
bench: ## benchmarks and a comparison of whole processes, into docs, in 12 minutes (QUICK=1: in two, into bin/bench; BASE=file: benchstat)
	@mkdir -p bin/bench
	go build -trimpath -tags nodev -o bin/bench/clerksync ./cmd/clerksync
	go build -trimpath -tags nodev,profile -overlay tools/bench/overlay.json -o bin/bench/clerksync-profile ./cmd/clerksync
	go build -C tools/bench -o ../../bin/bench/ . ./peer
	go build -C tools/bench -tags profile -o ../../bin/bench/peer-profile ./peer
	@out=bin/bench/go-$$(git rev-parse --short HEAD).txt; set -x; \
	CLERKSYNC_BENCH_USERS=$(BENCH_USERS) go test -run '^$$' -bench . -benchmem -count $(COUNT) -benchtime $(BENCHTIME) -timeout 30m \
		./clerk ./webhook ./inngest ./store | tee "$$out"; \
	$(tool) benchstat $(BASE) "$$out"; \
	bin/bench/bench -bin bin/bench -go "$$out" $(BENCH_FLAGS)
	go run ./docs/draw # docs/architecture.md quotes what was measured

.PHONY: docs
docs: ## the tables and pictures of docs/architecture.md (a changed Mermaid diagram needs npm and Chromium)
	go run ./docs/draw

.PHONY: deploy
deploy: ## the files of deploy/, by the engines that they are for: Prometheus, Compose, Caddy, Helm
	go test -C tools/deploy -vet=all -count=1 . # Go's cache does not see files outside of the module

.PHONY: release-check
release-check: ## .goreleaser.yaml, the workflows, and what the image is built from
	go test -C tools/release -vet=all -count=1 . # go test does not see that what lies outside of the module has changed

.PHONY: lint
lint: ## linters with and without the dev command, format, workflows, shell scripts
	$(tool) golangci-lint run
	$(tool) golangci-lint run --build-tags nodev
	cd tools/bench && go tool -modfile=../go.mod golangci-lint run --config ../../.golangci.yml --build-tags profile
	go tool -modfile=tools/release/go.mod actionlint
	@if command -v shellcheck >/dev/null; then set -x; shellcheck .ci/run tools/*.sh tools/*/*.sh; \
	else echo "shellcheck is not installed: shell scripts not checked"; fi

.PHONY: fmt
fmt: ## gofumpt and what else lint can mend by itself
	$(tool) golangci-lint fmt
	$(tool) golangci-lint run --fix

.PHONY: vuln
vuln: ## known vulnerabilities in what the program calls
	tools/vuln.sh ./...

.PHONY: licenses
licenses: ## licences of all that is linked, and that the modules are the published ones
	tools/licenses.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
