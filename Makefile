# make run   installs Fourfold and runs its tour       make test   installs what the tests need and runs them
# make check lint, types, contracts, audit             make bench  measures, and rewrites docs/benchmarks.md
# make docs  writes docs/ from the code, checks links  make soak   the long forms of the tests
# make clean removes what the others made

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.SILENT:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PINNED := -c constraints.txt --build-constraint constraints.txt
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && { echo $$p; break; }; done)
ARGS ?=

# Two busy OpenMP threads on two cores are slower than one.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS

.PHONY: help run test check bench docs soak clean debian kenlm

help:
	sed -n '/^# make/s/^# //p' Makefile

run: $(VENV)/.core
	$(BIN)/fourfold tour $(ARGS)

test: $(VENV)/.test debian kenlm
	$(BIN)/ruff check
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	if command -v pip-audit > /dev/null; then pip-audit --no-deps --disable-pip --requirement constraints.txt; \
	else echo "audit of dependencies: skipped for want of pip-audit (pipx install pip-audit; it asks PyPI for advisories)"; fi

bench: $(VENV)/.test kenlm
	$(PIP) install $(PINNED) -e '.[bench]'
	mkdir -p bench/results
	for script in $(filter-out bench/table.py bench/%_peers.py,$(wildcard bench/*.py)); do \
		echo "$$script"; $(BIN)/python "$$script" --json "bench/results/$$(basename "$$script" .py).json" || exit 1; done
	$(BIN)/python bench/table.py

docs: $(VENV)/.core
	$(BIN)/python bench/table.py
	$(BIN)/python docs/generate.py

# pytest ends with 5 when it finds no such test.
soak: $(VENV)/.test debian kenlm
	$(BIN)/python -m pytest -m soak --timeout=7200 $(ARGS) || [ $$? = 5 ]

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests docs bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments: the core, without torch; then what the tests add. A second run finds the stamps and installs nothing.

$(VENV)/.core: pyproject.toml constraints.txt
	[ -n "$(PYTHON)" ] || { echo "Fourfold needs Python 3.11 or newer and finds none on PATH. Say where: make PYTHON=/…/python3" >&2; exit 1; }
	[ -x $(BIN)/python ] || echo "installing Fourfold into $(VENV)"
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Try: apt-get install python3-venv" >&2; exit 1; }
	$(PIP) install -c constraints.txt --upgrade pip
	$(PIP) install $(PINNED) -e .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(PIP) install $(PINNED) -e '.[test]'
	touch $@

# What is not there and cannot be had costs only the tests that need it; the end of a run says which.

kenlm: $(VENV)/.test debian
	$(BIN)/python -c 'import kenlm' 2> /dev/null || $(PIP) install $(PINNED) -e '.[kenlm]' > /dev/null 2>&1 || \
		echo "kenlm cannot be compiled here: the tests that compare with it are skipped"

debian:
	missing=""; \
	command -v chromium > /dev/null || missing+=" chromium"; \
	command -v pg_ctl > /dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl > /dev/null 2>&1 || missing+=" postgresql"; \
	command -v c++ > /dev/null || missing+=" g++"; \
	command -v mariadbd > /dev/null || [ -x /usr/sbin/mariadbd ] || missing+=" mariadb-server"; \
	[ -n "$$missing" ] || exit 0; \
	as_root="env DEBIAN_FRONTEND=noninteractive"; [ "$$(id -u)" = 0 ] || as_root="sudo -n $$as_root"; \
	if ! command -v apt-get > /dev/null || ! $$as_root true 2> /dev/null; then \
		echo "not installed, and not to be installed from here:$$missing"; exit 0; fi; \
	echo "installing Debian's$$missing"; \
	{ $$as_root apt-get update -qq && $$as_root apt-get install -qq -y --no-install-recommends $$missing; } > /dev/null || \
		echo "not all could be installed:$$missing"
