# `make` lists the targets. Needs Go 1.26; the targets that run real pipelines also need Python 3 with venv.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
# The number of the last tag; before there is one, that of the first release to come, and the commit.
VERSION ?= $(shell v=$$(git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null) && echo "$${v\#v}" || echo "0.5.0-dev+$$(git rev-parse --short HEAD 2>/dev/null || echo source)")
MODULE := github.com/handoff-run/handoff
BUILD := CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags "-s -w -X $(MODULE)/internal/cli.Version=$(VERSION)"
TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 5s
PACKAGES := ./cmd/... ./internal/... ./examples/... ./test/...

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/handoff: static, without debug information
	@mkdir -p bin
	$(BUILD) -o bin/handoff ./cmd/handoff

.PHONY: install
install: build ## Copy bin/handoff to $(PREFIX)/bin
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 bin/handoff "$(DESTDIR)$(PREFIX)/bin/handoff"

.PHONY: demo
demo: build ## Run the earthquake example: real tap, real target, local feed
	test/demo.sh

.PHONY: check
check: fmt-check lint ## The inner loop: format, lint, the quick tests
	go test -short ./cmd/... ./internal/... ./examples/...

.PHONY: test
test: build ## Everything: race, fuzz seeds, lint, stale files, end to end, compatibility
	test/all.sh

.PHONY: fmt
fmt: ## Format the Go code
	gofmt -w cmd internal examples test

.PHONY: fmt-check
fmt-check:
	@unformatted=$$(gofmt -l cmd internal examples test); [ -z "$$unformatted" ] || { echo "not formatted (make fmt): $$unformatted" >&2; exit 1; }

.PHONY: lint
lint: ## go vet for Linux and macOS, staticcheck, errcheck; builds them on first use
	go vet -tags e2e $(PACKAGES)
	GOOS=darwin go vet ./cmd/... ./internal/...
	$(TOOL) staticcheck -tags e2e -checks all,-ST1003,-ST1016,-QF* $(PACKAGES)
	$(TOOL) errcheck -ignoretests -exclude tools/errcheck.txt $(PACKAGES)

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (5s) each
	test/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build ## Measure handoff beside bash, xargs and 0.4.4; writes docs/benchmarks.md, docs/benchmarks-local.md
	test/bench.sh

.PHONY: microbench
microbench: ## Go benchmarks, six times each; compare two outputs with `go tool -modfile=tools/go.mod benchstat`
	go test -run '^$$' -bench . -benchmem -count 6 ./internal/...

.PHONY: cover
cover: ## Test coverage: a line for each package, coverage.html for a look
	@mkdir -p .cache
	go test -short -coverprofile=.cache/cover.out ./internal/...
	go tool cover -html=.cache/cover.out -o .cache/coverage.html
	@go tool cover -func=.cache/cover.out | tail -1

.PHONY: docs
docs: ## Write the generated pages of docs/reference again
	go test ./internal/cli ./internal/project -run Reference -update

.PHONY: fresh
fresh: ## Prove `make demo` and `make test` on a fresh Debian (needs root and debootstrap)
	test/fresh/run.sh

.PHONY: clean
clean: ## Remove what was built; downloads outside the checkout stay
	rm -rf bin dist .cache
