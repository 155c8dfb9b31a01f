# make help says what there is. The targets hold commands only; what needs thought lies in scripts/.
GO ?= go
CACHE := $(CURDIR)/.cache
SERVERS := $(CACHE)/servers
LINT_VERSION := v2.15.0
LINT := $(CACHE)/bin/golangci-lint-$(LINT_VERSION)
VERSION ?=
LDFLAGS := -s -w -buildid= $(if $(VERSION),-X github.com/lull-ops/lull.Version=$(VERSION))
# Packages whose tests start database servers import the package that does it.
SLOW = $(shell $(GO) list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | awk '/mysql\/server|\/e2e/ {print $$1}')
FAST = $(filter-out $(SLOW),$(shell $(GO) list ./...))

.PHONY: help build demo test test-servers bench lint fuzz fmt check setup

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' Makefile

build: ## build the program into bin/lull
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/lull ./cmd/lull

demo: build ## empty a table on a private server and get its rows back
	scripts/setup.sh server
	$(GO) build -o bin/demo ./demo
	bin/demo -lull bin/lull

setup: ## install what the tests need and is missing
	scripts/setup.sh

test: setup ## run all tests: the quick ones with the race detector, then those with a server
	$(GO) vet ./...
	$(GO) test -race $(FAST)
	$(GO) test -p 2 -timeout 40m $(SLOW)

test-servers: setup ## run the tests with a server on every MySQL and MariaDB that can be had
	scripts/test-servers.sh $(SERVERS)
	LULL_TEST_SERVERS=$(SERVERS) $(GO) test -p 2 -count 1 -timeout 60m $(SLOW)

bench: build ## measure beside other tools; BENCH=quick is a tenth, BENCH_KEEP=no keeps no logs
	scripts/setup.sh bench
	$(GO) build -o bin/bench ./bench
	bin/bench -lull bin/lull

lint: $(LINT) ## look for mistakes and for text that make fmt would change
	$(LINT) run
	$(LINT) fmt --diff

fuzz: ## feed every parser with random input, FUZZTIME (30s) each
	scripts/fuzz.sh

fmt: $(LINT) ## format the code
	$(LINT) fmt

check: lint test ## what CI runs

$(LINT):
	GOBIN=$(CACHE)/bin GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(CACHE)/bin/golangci-lint $@
