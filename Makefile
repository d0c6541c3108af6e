# Every target that people and CI use. `make demo` and `make test` need nothing but Debian, Python 3.11, git and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
CONFORMANCE ?=
CLUSTERS ?= 1000
INTO ?=
BIN := .venv/bin
STAMP := .venv/.ready

help: ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv with .venv/bin/reconcile in it

$(STAMP): requirements.lock pyproject.toml scripts/setup
	@scripts/setup "$(PYTHON)"
	@touch $@

demo: setup ## start a three-node cluster, break it, watch it heal, change it
	@scripts/demo

packages: ## Debian packages that the tests meet for real (as root)
	@scripts/packages

test: setup packages ## every test (under 8 minutes)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup ## the fast gate: format, lint, types, import contracts, unit and property tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@RECONCILE_QUICK=1 $(BIN)/python -m pytest -n 2 -m "not real and not e2e and not slow"

conformance: setup packages ## plans compared with Pacemaker's: its own cases (CONFORMANCE=judge.py), and random clusters
	@if [ -f "$(CONFORMANCE)" ]; then $(BIN)/python "$(CONFORMANCE)" --core --cli $(BIN)/reconcile; \
	else echo "Pacemaker's own cases are skipped: CONFORMANCE names no judge.py"; fi
	@$(BIN)/python -m tests.conformance --clusters $(CLUSTERS) $(if $(INTO),--into $(INTO))

fix: setup ## format, and repair what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: help setup demo packages test check conformance fix
