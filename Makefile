# lab-probe: one entry for people and for continuous integration. `make help` lists the targets.
SHELL := /bin/bash
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help deps build run test lint clean stack stack-down dashboards

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

deps: ## install what building and testing need
	tests/deps.sh

build: ## build the release binary
	$(CARGO) build --release --locked

test: deps ## run every test
	$(CARGO) test --locked

lint: ## formatting and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

clean: ## remove everything that was built
	$(CARGO) clean

stack: ## start Prometheus, Alertmanager and the rest as plain processes, see monitoring/README.md
	monitoring/stack/stack.sh up

stack-down: ## end what `make stack` started
	monitoring/stack/stack.sh down

dashboards: ## write Grafana's dashboards anew from their sources
	PYTHONDONTWRITEBYTECODE=1 python3 monitoring/grafana/source/build.py
