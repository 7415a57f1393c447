# lab-probe: one entry for people and for continuous integration. `make help` lists the targets.
SHELL := /bin/bash
CARGO ?= cargo

PREFIX ?= /usr/local
DESTDIR ?=
# `make install` runs this binary to write the man page and the shell completions.
BINARY := target/release/lab-probe
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# The parts of `make bench`. Each writes its rows to target/bench/NAME.json, benches/table.py joins them.
# By hand, because they take long: benches/day.py (a day of worktrees), benches/hosts.py (a hundred hosts).
BENCHES ?= benches/fleet.py benches/many.py benches/tick.py benches/hour.py benches/scale.py benches/worktrees.py benches/ingest.py benches/start.py
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: help deps build-deps build run check size test soak attack lint msrv docs image pictures mixin clean install uninstall deb dist e2e bench fuzz fuzz-minimize stack stack-down dashboards

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

deps: ## install what building and testing need
	tests/deps.sh

build-deps:
	tests/deps.sh build

build: ## build the release binary
	LAB_PROBE_REVISION=$$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown) $(CARGO) build --release --locked

run: build-deps ## try it out: build quickly, make a small LAB under target/, run a pass over it and show what came out
	$(CARGO) build --profile quick --locked
	examples/lab.sh target/lab target/quick/lab-probe
	@echo
	@HOME=$(CURDIR)/target/lab/home target/quick/lab-probe --config target/lab/lab-probe.toml --once --format table
	@echo "node_exporter would read: target/lab/textfile/lab-probe.prom ($$(wc -l < target/lab/textfile/lab-probe.prom) lines)"

check: ## formatting, lints and unit tests: what to run before each commit (needs nothing but Rust and git)
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --lib --quiet

size: ## the bounds on production lines and unsafe code
	tests/lint/size.py --list

test: ## run every test; without root or some tool those that can run, and say which were left out
	tests/run.sh

attack: deps ## every kill, refusal and clock instead of the samples that `make test` takes; about half an hour
	LAB_PROBE_ATTACK=full $(CARGO) test --locked --test suite attack:: -- --nocapture

soak: deps ## two thousand passes over a LAB that breaks at random; a quarter of an hour on a quiet machine
	LAB_PROBE_SOAK=2000 $(CARGO) test --locked --test suite soak:: -- --nocapture

lint: ## formatting, lints, and what the dependencies are (needs `make deps`)
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	tests/lint/dependencies.sh
	tests/lint/size.py
	target/lint/bin/zizmor --offline --quiet --no-progress .github

msrv: ## unit tests with the oldest Rust that Cargo.toml promises
	rustup toolchain install $(MSRV) --profile minimal
	$(CARGO) +$(MSRV) test --locked --lib --quiet

docs: ## build the documentation as a site (mdBook), target/book/html
	docs/build.sh

image: ## an image with the static binary and nothing else (podman or docker); docs/start.md says what it can see
	tests/deps.sh dist
	LIBC=musl ARCHS=$(or $(ARCHS),amd64) packaging/dist.sh
	install -m 0644 /etc/ssl/certs/ca-certificates.crt target/dist-binaries/ca-certificates.crt
	install -d target/dist-binaries/state
	$(or $(CONTAINER),podman) build --tag lab-probe .

pictures: docs ## draw the README's pictures anew, from the binary in target/debug; needs chromium
	$(CARGO) build --locked
	PYTHONPATH=target/docs-tools docs/images/make.py target/debug/lab-probe

mixin: ## rules and dashboards for a Prometheus of your own (SELECTOR=, INSTANCE_LABEL=, JOBS=; see docs/alerts.md), target/mixin
	monitoring/mixin.py target/mixin $(if $(SELECTOR),--selector '$(SELECTOR)') $(if $(INSTANCE_LABEL),--instance-label $(INSTANCE_LABEL)) $(if $(JOBS),--jobs $(JOBS))

install: ## install binary, units, man page and completions (PREFIX=/usr/local, DESTDIR=)
	@[ -x $(BINARY) ] || { echo "build it first, as yourself: make build" >&2; exit 1; }
	packaging/install.sh install "$(DESTDIR)" "$(PREFIX)" $(BINARY)

uninstall: ## remove what `make install` installed; live configurations and state stay
	packaging/install.sh uninstall "$(DESTDIR)" "$(PREFIX)"

deb: build ## build a Debian package below target/deb/
	tests/deps.sh dist
	packaging/package.sh $(BINARY) target/deb deb

dist: ## what a release publishes, for amd64 and arm64: archives, packages, checksums, a list of what is inside; target/dist
	tests/deps.sh dist
	packaging/dist.sh

bench: deps build ## measure beside limits and peers (BENCHES=benches/tick.py: that part); writes target/bench/table.md
	@mkdir -p target/bench && rm -f target/bench/*.json
	@set -e; for part in $(BENCHES); do echo "== $$part"; $$part; done
	@benches/table.py

fuzz: ## feed every reader with hostile bytes (FUZZ_SECONDS=60, FUZZ_JOBS=1, TARGETS="config sse"); needs g++
	fuzz/run.sh run $(TARGETS)

fuzz-minimize: ## remove corpus files (fuzz/target/corpus) that reach no code of their own
	fuzz/run.sh minimize $(TARGETS)

clean: ## remove everything that was built
	$(CARGO) clean

stack: ## start Prometheus, Alertmanager and the rest as plain processes, see monitoring/README.md
	monitoring/stack/stack.sh up

stack-down: ## end what `make stack` started
	monitoring/stack/stack.sh down

e2e: $(if $(E2E_BINARY),,build) ## boot a systemd (as root), install the package there, break things (E2E_PASSES=3)
	tests/e2e/run.sh $(or $(E2E_BINARY),$(BINARY))

dashboards: ## write Grafana's dashboards anew from their sources
	PYTHONDONTWRITEBYTECODE=1 python3 monitoring/grafana/source/build.py
