# The commands for developers and operators. `make` without a command lists them.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
NODE_STAMP := $(VENV)/.installed-node
NODE_PACKAGES := tests/v1/clients/package.json tests/v1/clients/package-lock.json
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test soak edges check bench screenshots clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## install what is missing and start the service at http://127.0.0.1:5000 (HOST, PORT)
	@exec $(PY) -m app.cli serve

demo: $(RUN_STAMP) ## process a batch of samples, on the running service or on a temporary one
	@exec $(PY) -m app.cli demo $(ARGS)

# More processes than cores: half of the time a test waits for a process that it started. Each takes half a GB.
PROCESSES ?= $(shell nproc | awk '{ n = 2 * $$1; print (n < 4 ? 4 : n > 8 ? 8 : n) }')

test: $(NODE_STAMP) ## run every test, on SQLite and on a private PostgreSQL (ARGS="-k pause -n 0")
	@exec $(PY) -m pytest -n $(PROCESSES) --dist worksteal $(ARGS)

# A test that tries so much may take long on a busy machine: `timeout` of pyproject.toml is for the others.
soak: $(NODE_STAMP) ## try far more than make test: thousands of races and made-up calls, kills, 500 random lives (ARGS)
	@SOAK=1 exec $(PY) -m pytest -o timeout=3600 -n $(PROCESSES) --dist worksteal -m "soak or hypothesis" $(ARGS)

edges: $(DEV_STAMP) ## try outages, full disks and hostile callers at full length (ARGS="--help")
	@exec $(PY) -m bench.edges $(ARGS)

# The tests start hundreds of processes, each of which would compile the program again.
test soak: export PYTHONDONTWRITEBYTECODE :=

check: $(DEV_STAMP) ## check format, lint, types and the rules of the architecture
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest tests/test_architecture.py

bench: $(DEV_STAMP) ## measure the service (ARGS="--help")
	@exec $(PY) -m bench $(ARGS)

screenshots: $(DEV_STAMP) ## take the pictures in docs/images from a running service
	@exec $(PY) -m bench.screenshots

clean: ## remove the virtual environment and all caches; keep the data in ./var
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Interlock needs Python 3.11 or newer: set PYTHON, as in make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python cannot make a virtual environment here: apt-get install python3-venv, then try again" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.txt interlock/requirements.txt | $(PY)
	@echo "Installing the packages of requirements.txt ..."
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt requirements-dask.txt requirements-otel.txt requirements.txt interlock/requirements.txt interlock/requirements-parquet.txt | $(PY)
	@echo "Installing the packages of requirements-dev.txt ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@ $(RUN_STAMP)

# Node itself comes from a wheel of requirements-dev.txt.
$(NODE_STAMP): $(NODE_PACKAGES) $(DEV_STAMP)
	@echo "Installing the packages of tests/v1/clients/package.json ..."
	@mkdir -p $(VENV)/node
	@cp $(NODE_PACKAGES) $(VENV)/node/
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --silent --no-audit --no-fund --prefix $(VENV)/node
	@touch $@
