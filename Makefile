# The two commands of the README are `make demo` and `make test`; CI runs these targets and nothing else.
# Go, make and git are all that a machine needs: everything else is built from Go modules, once, into the user's cache.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export GOFLAGS ?=
export CGO_ENABLED ?= 0

LINT = go tool -modfile=tools/lint/go.mod golangci-lint

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Walk through an upgrade with a revision tag on a local API server (first time: builds one, about 6 minutes)
	go run ./test/prepare
	go run ./test/demo

.PHONY: test
test: ## Run every test: unit, oracle, and the handlers on a real kube-apiserver (first time: builds one)
	go run ./test/prepare
	go test -timeout 30m ./...
	cd test/istio && go test -count=1 # without a package list it prints how many combinations were compared
	cd tools/kind && go test -count=1 ./...

.PHONY: e2e
e2e: ## Run the end-to-end tests against $KUBECONFIG, or a local control plane
	go run ./test/prepare
	go test -count=1 -v -tags=e2e ./test/e2e/...

.PHONY: build
build: ## Build bin/router
	go build -trimpath -o bin/router ./cmd/router

.PHONY: fuzz
fuzz: ## Fuzz the decoding of reviews for a minute
	go test ./webhook -run '^$$' -fuzz FuzzPodReview -fuzztime 60s -fuzzminimizetime 10x

.PHONY: bench
bench: ## Print the table of docs/benchmarks.md
	go test ./webhook -run TestBenchmarkTable -v -table -benchtime 200ms
	go test ./routing ./internal/mesh -run '^$$' -bench . -benchmem

.PHONY: fmt
fmt: ## Format the code
	$(LINT) fmt

.PHONY: lint
lint: ## Run the linters and check that modules are tidy (first time: builds golangci-lint, about 3 minutes)
	$(LINT) run
	go mod tidy -diff
	cd test/istio && go mod tidy -diff

.PHONY: clean
clean: ## Remove what was built in this folder; the cache of tools stays
	rm -rf bin
