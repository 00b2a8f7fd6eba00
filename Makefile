# Two commands matter: `make demo` runs the main job, `make test` passes the tests.
# Each makes what it needs on first use: a virtual environment with everything locked by hash.

PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/demo

# The main job: learn from the photos of some people's hands, be judged on those of other people. Judging is the
# second command, so training leaves it out.
DEMO = hands --method simclr --out $(RUN) --seed 0 --no-evaluate

BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
LOCK := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: help demo test check format docs lock oldest clean

help:
	@echo "make demo     train on the built-in photos, evaluate, write a report (about 5 minutes)"
	@echo "make test     run all tests"
	@echo "make check    lint, format, types, import contract"
	@echo "make format   let ruff mend what it can"
	@echo "make docs     build the documentation as a site, build/site, and check its links"
	@echo "make lock     renew the locked requirements"
	@echo "make oldest   run the tests on the oldest PyTorch that is promised, with Python 3.12"
	@echo "make clean    remove the environment and every cache; runs/ stays"

demo: $(VENV)/installed
	$(BIN)/lookalike train $(DEMO)
	$(BIN)/lookalike evaluate $(RUN) --data hands/test
	$(BIN)/lookalike report $(RUN)

test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 8

check: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/installed-docs
	PYTHONPATH=. $(BIN)/zensical build --clean --strict
	@! grep -r --include=*.html '```' build/site || (echo "a code block was not understood as one" && false)
	@echo "open build/site/index.html in a browser"

# A file in the environment says that it is complete; it is renewed when the requirements change.

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lookalike needs Python 3.11 or newer:  make $(MAKECMDGOALS) PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/installed: requirements.lock pyproject.toml | $(UV)
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements-dev.lock
	@touch $@

$(VENV)/installed-docs: requirements-docs.lock | $(UV)
	$(UV) pip install --python $(BIN)/python --require-hashes --requirement requirements-docs.lock
	@touch $@

lock: | $(UV)
	$(UV) $(LOCK) --upgrade --group build --output-file requirements.lock pyproject.toml
	$(UV) $(LOCK) --upgrade --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(UV) $(LOCK) --upgrade --group docs --constraint requirements-dev.lock --output-file requirements-docs.lock

oldest: | $(UV)
	$(UV) venv --allow-existing --python $(PYTHON) .venv-oldest
	$(UV) pip install --python .venv-oldest --group dev --editable . torch==2.11.* torchvision==0.26.*
	OMP_NUM_THREADS=1 .venv-oldest/bin/pytest -n auto --maxprocesses 8

clean:
	rm -rf $(VENV) .venv-oldest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find src tests benchmarks notebooks -name __pycache__ -type d -prune -exec rm -rf {} +
