# RecoPortal needs Python 3.11 and nothing else. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= $(shell for name in python3.11 python3 python; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then echo "$$name"; break; fi; done)
VENV := .venv
RUN := $(VENV)/bin/python
# The environment is made again when what it is made from changes, or when the folder has moved.
STAMP := $(shell { cat pyproject.toml docker/constraints.txt; echo "$(CURDIR)"; } | cksum | cut -d' ' -f1)
DATA_DIR = $(shell $(RUN) -c 'from recoportal import env; print(env.load().get_path("RECOPORTAL_DATA_DIR"))')
# BLAS and OpenMP read these when Python starts.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup setup-test demo test check lint types contracts migrations architecture reset bench-models bench-ingest bench-serving bench-faults bench-experiments

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/setup-$(STAMP) ## Make .venv and install what RecoPortal needs
setup-test: $(VENV)/setup-test-$(STAMP) ## The same, with what the tests and checks need

define install
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: Python 3.11 was not found (tried python3.11, python3, python). Install it, or run make PYTHON=/path/to/python3.11."; exit 1; fi
	@if ! $(VENV)/bin/python -c '' 2>/dev/null || ! [ -f "$(VENV)/place-$(shell echo "$(CURDIR)" | cksum | cut -d' ' -f1)" ]; then \
		echo "setup: making $(VENV) with $(PYTHON)"; rm -rf $(VENV); \
		$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) can't make a virtual environment; on Debian and Ubuntu: apt-get install python3.11-venv"; exit 1; }; \
		touch "$(VENV)/place-$(shell echo "$(CURDIR)" | cksum | cut -d' ' -f1)"; fi
	@echo "setup: installing $(1) (the first time takes a minute or two)"
	@began=$$(date +%s); \
	$(RUN) -m pip install --no-input -c docker/constraints.txt -e "$(1)" 2>&1 | awk -f .ci/pip-progress.awk; \
	rm -f $(VENV)/setup-*; echo "setup: installed in $$(( $$(date +%s) - began )) s"
endef

$(VENV)/setup-$(STAMP):
	$(call install,.)
	@touch $@

# gbstats (the statistics of experiments are tested against it) asks for numpy and pandas of 2023. Its formulas run
# with today's, so it comes without its requirements; its version and pydantic's stand in docker/constraints.txt.
$(VENV)/setup-test-$(STAMP):
	$(call install,.[test])
	@$(RUN) -m pip install --no-input --no-deps -c docker/constraints.txt gbstats 2>&1 | awk -f .ci/pip-progress.awk
	@touch $@ $(VENV)/setup-$(STAMP)

demo: ## Start the demo shop; CHECK=1 proves that it works and stops it; PACK=songs is a music service
	@began=$$(date +%s.%N); $(MAKE) -s setup; \
	exec $(RUN) manage.py demo --since "$$began" $(if $(CHECK),--check) $(if $(PACK),--pack $(PACK))

test: ## Everything: checks, then all tests
	@$(MAKE) -s setup-test
	@$(MAKE) check
	@$(RUN) -m pytest $(ARGS)

check: lint types contracts migrations architecture ## Lint, types, import contracts, migrations, architecture tests
	@echo "check: all clean"

lint: setup-test
	@echo "check: ruff"; $(VENV)/bin/ruff check --quiet .

types: setup-test
	@echo "check: mypy"; $(VENV)/bin/mypy

contracts: setup-test
	@echo "check: import contracts"; $(VENV)/bin/lint-imports --no-cache

migrations: setup-test
	@echo "check: migrations"; DJANGO_SETTINGS_MODULE=recoportal.settings.test $(RUN) manage.py makemigrations --check --dry-run

architecture: setup-test
	@echo "check: architecture"; $(RUN) -m pytest -q tests/architecture

bench-models: setup-test ## Models beside other libraries, within an hour; ARGS="--part retail" runs one part
	@timeout --kill-after=30 3600 $(RUN) -m tests.benchmarks.models $(ARGS)

bench-serving: setup-test ## What a slate costs beside one look-up and a constant answer (10 minutes at most)
	@timeout --kill-after=30 600 $(RUN) -m tests.benchmarks.serving $(ARGS)

bench-ingest: setup-test ## How fast events are taken in, beside what this machine allows (8 minutes at most)
	@timeout --kill-after=30 480 $(RUN) -m tests.benchmarks.ingest

bench-faults: setup-test ## What slates and events suffer while parts behind them go away (8 minutes at most)
	@timeout --kill-after=30 480 $(RUN) -m tests.benchmarks.faults $(ARGS)

bench-experiments: setup-test ## A readout of a million units, and what experiments cost a slate (10 minutes at most)
	@timeout --kill-after=30 600 $(RUN) -m tests.benchmarks.experiments

reset: ## Stop the services and delete all data (the demo shop starts over)
	@if [ -x $(RUN) ]; then $(RUN) -m recoportal.embedded destroy; else rm -rf .data; fi
	@echo "reset: make demo starts over"
