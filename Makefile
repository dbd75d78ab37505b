# Two commands matter: `make demo` and `make test`. Both set up .venv from the pinned locks the first time.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(if $(shell command -v $(name)),$(name))))
BIN := .venv/bin
export PYTHONPATH := $(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Everything that the demo writes lies under .perennial, also what Prefect and W&B keep for themselves.
DEMO_HOME := $(CURDIR)/.perennial
DEMO_ENV := PREFECT_HOME=$(DEMO_HOME)/prefect WANDB_MODE=$${WANDB_MODE:-$(if $(WANDB_API_KEY),online,offline)} MPLCONFIGDIR=$(DEMO_HOME)/matplotlib

.PHONY: demo test check fast clean

demo: .venv/installed ## replay the flights of 2013: watch a model decay, be retrained, refused and promoted
	@mkdir -p $(DEMO_HOME)
	@$(DEMO_ENV) $(BIN)/python -m flows.replay configs/flights.yaml

# Two at a time, each with one thread: torch's threads slow one another down where cores are shared. A worker takes what
# the other has not begun (worksteal), so that nobody waits for the longest file.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test: .venv/installed-dev ## all tests
	$(PYTEST)

fast: .venv/installed-dev ## the tests that start no server, worker or browser
	$(PYTEST) -m "not slow"

check: .venv/installed-dev ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch first and with its dependencies, so that a machine with a GPU gets its CUDA parts; the rest exactly as locked.
# --no-deps leaves out what nannyml declares and nothing here uses: xgboost, FLAML, kaleido, cloud file systems.
.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
		{ echo "Perennial needs Python 3.11 or 3.12; found $$($(PYTHON) --version). Run: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Installing the pinned dependencies into .venv (once, about two minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint requirements.lock torch==2.13.0 setuptools==84.2.1
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-dev.lock
	@touch $@

clean: ## remove what the demo wrote
	rm -rf .perennial
