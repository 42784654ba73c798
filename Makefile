# Thumbturn. "make help" lists the targets.
GO          ?= go
# The release 2026.2.2 by its module version; the module proxy knows no other name for it.
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
SYSTEMS      = linux darwin windows
ARCHS        = amd64 arm64
PREFIX      ?= /usr/local
MANDIR      ?= $(PREFIX)/share/man/man1
BASHDIR     ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR      ?= $(PREFIX)/share/zsh/site-functions
FISHDIR     ?= $(PREFIX)/share/fish/vendor_completions.d
# Watching pure arithmetic takes several times as long as the arithmetic, and finds nothing of ours:
# what is given to it and taken from it is still watched, outside of it.
UNWATCHED    = golang.org/x/crypto/argon2 $(addprefix crypto/internal/fips140/,mlkem sha3 bigmod edwards25519/... nistec/...)
# Where Go can erase what a function leaves in memory, the daemon is built to.
ERASE        = $(if $(filter linux/amd64 linux/arm64,$(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH)),runtimesecret)

.DEFAULT_GOAL := build
.PHONY: help build demo test lint bench prompts fuzz vectors cross install clean setup

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

build: ## static thumbturn and thumbturnd into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/ ./cmd/thumbturn
	CGO_ENABLED=0 GOEXPERIMENT=$(ERASE) $(GO) build -trimpath -ldflags "-s -w" -o bin/ ./cmd/thumbturnd

demo: build ## show what it does, in a home of its own
	$(GO) run ./demo

# The longest first, and one package more at a time than there are processors: many wait, for a daemon or a browser.
test: setup lint ## vet, format, race detector, staticcheck
	CGO_ENABLED=1 $(GO) test -race -p $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) $(UNWATCHED:%=-gcflags=%=-race=false) -timeout 20m \
	  ./internal/e2e ./internal/broker/account ./...

# Without cgo, as the programs are built: what is compiled here serves the tests that start them.
lint: export CGO_ENABLED = 0
lint: ## vet, format, staticcheck
	$(GO) vet ./...
	@bad=$$(gofmt -l .); test -z "$$bad" || { echo "not gofmted:"; echo "$$bad"; exit 1; }
	$(GO) run $(STATICCHECK) ./...

bench: ## one table of ratios against floors and peers measured beside it
	$(GO) run ./bench

prompts: ## how often a person is asked, over replayed traces of work; some minutes
	$(GO) run ./bench/prompts

fuzz: ## every fuzz target for FUZZTIME
	@FUZZTIME=$(FUZZTIME) GO=$(GO) bash .ci/fuzz

vectors: ## check the vectors of the specifications against the code
	$(GO) test -count=1 -run Vector ./...

cross: ## compile for every system and processor
	@set -e; for os in $(SYSTEMS); do for arch in $(ARCHS); do echo "$$os/$$arch"; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build ./...; done; done

install: build ## both binaries side by side, manual pages and completions, under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MANDIR) $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 0755 bin/thumbturn bin/thumbturnd $(DESTDIR)$(PREFIX)/bin/
	bin/thumbturn man --out $(DESTDIR)$(MANDIR)
	bin/thumbturn completion bash > $(DESTDIR)$(BASHDIR)/thumbturn
	bin/thumbturn completion zsh > $(DESTDIR)$(ZSHDIR)/_thumbturn
	bin/thumbturn completion fish > $(DESTDIR)$(FISHDIR)/thumbturn.fish

clean: ## remove what build made
	rm -rf bin

# What tests use beside Go: installed only where missing, by root, with apt-get.
setup:
	@bash .ci/setup
