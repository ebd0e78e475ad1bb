# The two commands of the README are `make demo` and `make test`; CI runs these targets and nothing else.
# Go, make and git are all that a machine needs: everything else is built from Go modules, once, into the user's cache.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export GOFLAGS ?=
export CGO_ENABLED ?= 0

LINT = go tool -modfile=tools/lint/go.mod golangci-lint

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Walk through an upgrade with a revision tag on a local API server (first time: builds one, about 6 minutes)
	go run ./test/prepare
	go run ./test/demo

.PHONY: demo-forward
demo-forward: ## Walk through a gradual rollout of 206 workloads in forward mode, and control planes that go away
	go run ./test/prepare
	go run ./test/demo forward

.PHONY: test
test: ## Run every test: unit, oracle, and the handlers on a real kube-apiserver (first time: builds one)
	go run ./test/prepare --workloads
	go test -timeout 30m ./...
	cd test/istio && go test -count=1 # without a package list it prints how many combinations were compared
	cd tools/kind && go test -count=1 ./...
	cd tools/sarif && go test -count=1 ./...

.PHONY: e2e
e2e: ## Carry out the procedures of the update guide end to end, and more; with ROUTER=off without the router, to see them fail
	go run ./test/prepare --workloads
	ROUTER=$(ROUTER) go test -count=1 -v -timeout 60m -parallel 4 -tags=e2e $(if $(filter off,$(ROUTER)),-run '^TestProcedure',$(if $(RUN),-run '$(RUN)')) ./test/e2e

.PHONY: e2e-install
e2e-install: ## Upgrade and uninstall the chart by Helm under a load of pods, and read the Events that people are told by
	go run ./test/prepare --workloads
	go test -count=1 -v -timeout 40m -tags=e2e -run 'Upgrade|PeopleAreTold' ./test/installed ./test/local

.PHONY: e2e-migrate
e2e-migrate: ## Restart 200 workloads by router migrate: interrupted, resumed, one made to fail, budgets watched
	go run ./test/prepare --workloads
	go test -count=1 -v -timeout 40m -tags=e2e ./test/e2e/migrate

.PHONY: e2e-proof
e2e-proof: ## Carry them out without the router, and check that every case that is the router's fails
	go run ./test/prepare --workloads
	go run ./test/e2e/withoutrouter

.PHONY: e2e-kind
e2e-kind: ## Run what only a real cluster shows, in a kind cluster (KEEP=1 keeps it); needs a Docker Engine
	go run ./test/kind/run $(if $(RUN),--suite procedures --procedures '$(RUN)')

.PHONY: plans
plans: ## Carry out the plans of the update guide's procedures and of 1.24 to 1.28 as they are printed (15 minutes)
	go run ./test/prepare --workloads
	go test -tags=plans -count=1 -v -timeout 2h ./test/plans

.PHONY: chaos
chaos: ## Break routers in every way under load and count the pods that got a wrong answer (14 minutes)
	go run ./test/prepare
	go test -tags=chaos -count=1 -v -timeout 30m ./test/chaos

.PHONY: chaos-short
chaos-short: ## The same with fewer and shorter breakages, as CI runs it (4 minutes)
	go run ./test/prepare
	go test -tags=chaos -short -count=1 -v -timeout 15m ./test/chaos

.PHONY: build
build: ## Build bin/router
	go build -trimpath -o bin/router ./cmd/router

.PHONY: plugin
plugin: ## Build bin/kubectl-revision_router with its completion: on the PATH, it is kubectl revision-router
	go build -trimpath -o bin/kubectl-revision_router ./cmd/router
	cp cmd/router/plugin/kubectl_complete-revision_router bin/

# The image's names, folder and time. The time is the commit's, so that the same commit gives the same layers.
IMAGE ?= revision-router:dev
IMAGE_DIR ?= bin/image
IMAGE_FLAGS ?=
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
GOARCH ?= $(shell go env GOARCH)
IMAGE_ARGS = --build-arg VERSION=$$(git describe --tags --always --dirty 2>/dev/null || echo dev) \
  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
  --build-arg CREATED=$$(TZ=UTC date -d @$(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ)

.PHONY: image-files
image-files: ## Build what the image holds, a static binary and its bill of materials, into bin/image
	mkdir -p $(IMAGE_DIR)
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) go build -buildvcs=auto -trimpath -ldflags='-s -w -buildid=' -o $(IMAGE_DIR)/router ./cmd/router
	go run ./tools/sbom -o $(IMAGE_DIR)/sbom.cdx.json $(IMAGE_DIR)/router
	cp LICENSE $(IMAGE_DIR)/LICENSE
	chmod 755 $(IMAGE_DIR)/router && chmod 644 $(IMAGE_DIR)/sbom.cdx.json $(IMAGE_DIR)/LICENSE
	TZ=UTC touch -d @$(SOURCE_DATE_EPOCH) $(IMAGE_DIR)/router $(IMAGE_DIR)/sbom.cdx.json $(IMAGE_DIR)/LICENSE

.PHONY: image
image: image-files ## Build the container image revision-router:dev; needs a Docker Engine
	docker build $(IMAGE_FLAGS) --file Dockerfile --tag $(IMAGE) $(IMAGE_ARGS) $(IMAGE_DIR)

.PHONY: image-push
image-push: ## Build the image for both platforms and push it as $IMAGE; needs docker buildx
	for arch in amd64 arm64; do \
	  $(MAKE) image-files IMAGE_DIR=bin/image-$$arch GOARCH=$$arch; \
	  docker buildx build --platform linux/$$arch --provenance=false --push --file Dockerfile --tag $(IMAGE)-$$arch $(IMAGE_ARGS) bin/image-$$arch; \
	done
	docker buildx imagetools create --tag $(IMAGE) $(IMAGE)-amd64 $(IMAGE)-arm64

.PHONY: image-test
image-test: ## Build the image twice, compare, and have a container of it answer /readyz; needs a Docker Engine
	go run ./test/prepare
	IMAGE_TEST=required go test -count=1 -v -timeout 15m ./test/image

VERSION ?= $(shell git describe --tags 2>/dev/null)

.PHONY: dist
dist: ## Build the files of the release $VERSION into bin/dist: archives, chart, kubectl plugin, checksums
	rm -rf bin/dist
	go run ./tools/release -version '$(VERSION)' -out bin/dist

.PHONY: fuzz
fuzz: ## Fuzz the decoding of reviews for a minute
	go test ./webhook -run '^$$' -fuzz FuzzPodReview -fuzztime 60s -fuzzminimizetime 10x

.PHONY: bench
bench: ## Print the table of docs/benchmarks.md
	go test ./webhook -run TestBenchmarkTable -v -table -benchtime 200ms
	go test ./routing ./internal/mesh -run '^$$' -bench . -benchmem

.PHONY: bench-forward
bench-forward: ## Print the table of forward mode in docs/benchmarks.md (a minute and a half)
	go test ./webhook -run TestForwardBenchmarkTable -v -table

.PHONY: dashboard
dashboard: ## Write the dashboard, and draw docs/images/dashboard.png from a demo under a real Prometheus; needs chromium
	go run ./tools/dashboard charts/revision-router/files/dashboard.json
	go run ./test/prepare --workloads
	mkdir -p bin docs/images
	go run ./test/dashboard/picture bin/dashboard.html docs/images/dashboard.png

.PHONY: a11y
a11y: ## Judge the page of router status in a browser, with axe-core; needs node, npm and chromium (a minute)
	tools/a11y/run

.PHONY: screenshots
screenshots: ## Draw the pictures of docs/images; needs what a11y needs
	tools/a11y/run --screenshots

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
