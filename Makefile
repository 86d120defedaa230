# PSI Router. `make run` is the main job, `make test` is what CI runs.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The linters; Go compiles each once.
GOFUMPT       := $(GO) run mvdan.cc/gofumpt@v0.12.0
GOLANGCI_LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

.PHONY: run
run: need-go ## Start the router with the sandbox phone on http://127.0.0.1:3002/sandbox
	@echo 'Compiling: the first time takes minutes. / Compilando: la primera vez tarda unos minutos.'
	@$(GO) run -ldflags '$(LDFLAGS)' ./cmd/psi-router serve

.PHONY: need-go
need-go:
	@./scripts/need-go.sh '$(GO)'

.PHONY: test
test: need-go ## Install the programs that tests start (scripts/setup.sh) and run all tests with the race detector (under 10 minutes)
	@./scripts/setup.sh
	$(GO) test -race -shuffle=on -timeout 20m ./...
	$(GO) test -shuffle=on -timeout 10m -run 'TestUpgrade|TestNotices' ./internal/delivery ./internal/store/sqlitestore ./internal/store/pgstore # racetest.Skip

.PHONY: proof
proof: need-go ## The long proofs: both commands on a fresh Debian, 50 kills under load, 500 clients with forged signatures, 20 suspensions longer than the lease, a clock that steps by hours, 10 failovers to a lagging standby, the drill of 100,000 messages, 500 requests/s over a slow database, a misbehaving CRM and WhatsApp, each fuzz target for 60 s
	@./scripts/setup.sh
	./scripts/fresh.sh
	PSI_PROOF=1 $(GO) test -count=1 -timeout 60m -run 'TestKill|TestForgedBodies' -v ./bench
	PSI_PROOF=1 $(GO) test -count=1 -timeout 60m -run 'LosesNothing' -v ./internal/queue/redisqueue
	PSI_PROOF=1 $(GO) test -count=1 -timeout 60m -run 'TestProof' -v ./internal/store/pgstore
	PSI_PROOF=1 $(GO) test -count=1 -timeout 60m -run 'TestProof' -v ./internal/cluster
	PSI_PROOF=1 $(GO) test -count=1 -timeout 60m -run 'TestClockSteps' -v ./internal/delivery
	PSI_PROOF=1 $(GO) test -count=1 -timeout 60m -run 'TestProof' -v ./internal/rehearse
	./bench/fuzz.sh 60s

.PHONY: bench
bench: ## Measure everything and write docs/benchmarks.md; ONLY=plan,noop measures only these sections
	$(GO) run ./bench/report -only "$(ONLY)"

.PHONY: check
check: ## Formatting, vet and lint
	@out=$$($(GOFUMPT) -d .) && test -z "$$out" || { printf '%s\n' "$$out" | head -50; echo 'run: $(GOFUMPT) -w .'; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI_LINT) run

.PHONY: dist
dist: ## Static tarballs for linux amd64 and arm64, with checksums, in dist/
	GO='$(GO)' VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' ./scripts/dist.sh dist
