# Everything runs in .venv, which these targets make themselves: with uv where it is there, else with python3 and pip.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

# Starts Lectr from any folder. Not an editable install: that would need a build, and a build needs a network.
define LAUNCHER
#!/bin/sh
'''exec' "$(CURDIR)/$(BIN)/python" -P "$$0" "$$@"
' '''
import sys

from app.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
endef
export LAUNCHER

define NO_PYTHON
Lectr needs Python 3.11 or newer, and `$(PYTHON)` is missing or older.
Install one (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv) and, if it has another name, run
`make PYTHON=python3.12 ...`. Or install uv, which brings a Python of its own.
endef
export NO_PYTHON

define NO_VENV
`$(PYTHON)` has no venv: on Debian and Ubuntu, apt-get install python3-venv. Or install uv.
endef
export NO_VENV

# $(1): the file of pins. A .venv that uv made has no pip, so that is put in where uv has gone.
install = if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python --only-binary :all: --require-hashes -r $(1); \
	else $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	$(BIN)/python -m pip install --quiet --only-binary :all: --require-hashes -r $(1); fi

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## start Lectr on http://127.0.0.1:8000 (HOST, PORT and the other settings come from the environment)
	@exec $(BIN)/lectr serve --first-steps

.PHONY: demo
demo: setup ## start a Lectr that is filled with invented traffic, in ./data-demo
	@exec $(BIN)/lectr demo

SPOOL_TESTS := $(addprefix tests/ledger/test_spool,.py _files.py _format.py)

.PHONY: test
test: lint ## run every check: linters, types, registry, vendored files, tests
	@echo "== every branch of the spool"; $(BIN)/pytest -q $(SPOOL_TESTS) --cov-branch --cov-fail-under=100 \
	  $(addprefix --cov=app.ledger.,spool spool_files spool_format spool_record)
	@echo "== pytest"; $(BIN)/pytest $(PYTEST_ARGS)

.PHONY: test-postgres
test-postgres: setup-dev ## run the tests of ledger, edge, API and console on a PostgreSQL of their own (needs postgresql)
	@LECTR_TEST_DATABASE=postgresql $(BIN)/pytest tests/ledger tests/edge tests/api tests/console tests/test_asgi.py $(PYTEST_ARGS)

.PHONY: lint
lint: setup-dev ## run every check but the tests
	@echo "== ruff check"; $(BIN)/ruff check
	@echo "== ruff format"; $(BIN)/ruff format --check
	@echo "== mypy"; $(BIN)/mypy
	@echo "== pyright"; PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	@echo "== import-linter"; $(BIN)/lint-imports --no-logo
	@echo "== djlint"; $(BIN)/djlint --lint --quiet app/templates
	@echo "== codespell"; git ls-files -z | xargs -0 $(BIN)/codespell
	@echo "== registry"; $(BIN)/lectr registry check
	@$(MAKE) --no-print-directory vendor-check

.PHONY: vendor-check
vendor-check: setup-dev ## compare the vendored front-end files with the hashes in vendor.lock.json
	@echo "== vendored files"; $(BIN)/python -m tests.vendor_check

.PHONY: format
format: setup-dev ## put the code into the house's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: security
security: setup-dev ## attack a running Lectr with 200,000 bad inputs and show hostile names in a browser, under 25 minutes
	@$(BIN)/python -m tests.security.siege
	@LECTR_BROWSER_EACH=4 $(BIN)/pytest -q tests/security/test_t18_browser.py

.PHONY: soak
soak: setup-dev ## half an hour of load: 1,000 streams, 300,000 requests, 50,000 nonces, 500 stalled clients, no CPU
	@$(BIN)/python -m tests.security.soak

.PHONY: screenshots
screenshots: setup-dev ## take the pictures in docs/screenshots anew (needs chromium)
	$(BIN)/python -m tests.browser.screenshots

.PHONY: bench-smoke
bench-smoke: setup-dev ## two minutes of measuring: start, memory, requests/s against nginx (needs nginx, wrk, taskset)
	@$(BIN)/python -m tests.bench.smoke

.PHONY: bench
bench: setup-dev ## half an hour of measuring beside its peers; writes docs/benchmarks.md (needs nginx, wrk, cc, openssl, npm)
	@$(BIN)/python -m tests.bench $(BENCH_ARGS)

.PHONY: bench-pages
bench-pages: setup-dev ## load every page of the console on 1,000,000 rows, and measure what that costs programs (needs nginx, taskset)
	@$(BIN)/python -m tests.bench.pages --folder .bench/pages $(BENCH_ARGS)
	@$(BIN)/python -m tests.bench.beside_pages --folder .bench/pages

.PHONY: bench-large
bench-large: setup-dev ## build a ledger of 10,000,000 rows in .bench/ and measure it
	@$(BIN)/python -m tests.bench.large $(BENCH_ARGS)

.PHONY: faults
faults: setup-dev ## kill Lectr and break its database under load, and count what is missing, under 40 minutes (root: also full disks)
	@$(if $(FAULTS_ARGS),,echo "== 2,000 examples of the spool's state machine"; \
	  LECTR_SPOOL_EXAMPLES=2000 $(BIN)/pytest -q --timeout=600 tests/ledger/test_spool_machine.py)
	@$(BIN)/python -m tests.faults $(FAULTS_ARGS)

.PHONY: setup
setup: $(VENV)/run.stamp ## make .venv with `lectr` in it

.PHONY: setup-dev
setup-dev: $(VENV)/dev.stamp ## the same, with what the checks need

$(BIN)/python:
	@if command -v uv >/dev/null; then uv venv --quiet --clear --python '>=3.11' $(VENV); \
	else \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$$NO_PYTHON" >&2; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$$NO_VENV" >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV); \
	fi

$(BIN)/lectr: Makefile | $(BIN)/python
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/lectr.pth"
	@printf '%s\n' "$$LAUNCHER" > $@
	@chmod +x $@

$(VENV)/run.stamp: requirements.txt pyproject.toml .python-version $(BIN)/lectr
	@echo "Installing what Lectr runs on ..."
	@$(call install,requirements.txt)
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt pyproject.toml .python-version $(BIN)/lectr
	@echo "Installing what the checks need ..."
	@$(call install,requirements-dev.txt)
	@touch $(VENV)/run.stamp $@

# UPGRADE=--upgrade takes the newest versions that pyproject.toml allows; without it only what changed there moves.
compile = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(UPGRADE) pyproject.toml

.PHONY: lock
lock: setup-dev ## pin all packages anew from pyproject.toml (UPGRADE=--upgrade: to their newest versions)
	@$(compile) --output-file requirements.txt >/dev/null
	@$(compile) --extra dev --constraint requirements.txt --output-file requirements-dev.txt >/dev/null

.PHONY: clean
clean: ## remove .venv and caches; data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .bench .coverage
	find app tests -name __pycache__ -type d -prune -exec rm -rf {} +
