# The two set-up commands are `make try` (see it work) and `make test` (check everything).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help test lint soak try docs commands bench bench-buckets bench-memo clean

help:
	@echo "make try    set up, then run the main job on a real dataset, showing every command"
	@echo "make test   set up, then run linters, type checker and all tests"
	@echo "make soak   slow runs that look for rare faults"
	@echo "make lint   linters and type checker alone"
	@echo "make docs   the site of the documentation, into build/docs"
	@echo "make commands  the pages of the commands, made anew of their help"
	@echo "make bench  hitsave beside its peers on generated work; make bench-buckets: over an S3 server"
	@echo "make bench-memo  memoisation beside its peers"
	@echo "make clean  remove $(VENV) and caches"

$(VENV)/python: 
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "hitsave needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/test: $(VENV)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/try: $(VENV)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[try]'
	@touch $@

$(VENV)/docs: $(VENV)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

test: $(VENV)/test
	@bash scripts/system-packages.sh
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n auto -rs

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(VENV)/test
	$(BIN)/python -m pytest -m soak -n auto --hypothesis-profile default
	$(BIN)/python -m pytest -m hypothesis -n auto --hypothesis-profile default
	TESTS_FAST=no $(BIN)/python -m pytest -n auto tests/memo tests/cli

try: $(VENV)/try
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/try.py

docs: $(VENV)/docs
	$(BIN)/python -m sphinx -q -W --keep-going -d build/docs-trees docs build/docs
	@echo "build/docs/index.html"

commands: $(VENV)/docs
	$(BIN)/python -m scripts.commands

bench: $(VENV)/test
	$(BIN)/python -m benchmarks.run

bench-buckets: $(VENV)/test
	$(BIN)/python -m benchmarks.buckets
	$(BIN)/python -m benchmarks.buckets --latency 20 --peers hitsave,restic,files,floor

bench-memo: $(VENV)/test
	$(BIN)/python -m benchmarks.memo --million

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
