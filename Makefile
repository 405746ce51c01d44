# What one types here. Everything happens in .venv, which the first call makes; Python 3.11+ is all it takes.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# So many processes share the tests for every day; most of the time a test waits for some server.
TEST_PROCESSES ?= 3

.DEFAULT_GOAL := help
.PHONY: help run docs reference test test-slow test-soak test-all check format bench bench-fanout clean

help: ## list what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

run: .venv/.server ## start a whole pool on this machine (http://127.0.0.1:3000/)
	@$(BIN)/rpn up

test: .venv/.test ## the tests for every day
	$(PYTEST) -n $(TEST_PROCESSES) --dist worksteal -m "not slow and not chaos"

test-slow: .venv/.dev ## what `test` leaves out: chaos, limits, older servers
	$(PYTEST) -m "(slow or chaos) and not soak"

test-soak: .venv/.dev ## what takes minutes or wants a quiet machine: the page under a crowd, leaders that die for 30 s, the upgrade
	$(PYTEST) -m soak

test-all: test test-slow ## every test but the soak ones

check: .venv/.dev ## style, types, who imports whom, the rules of the house
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin agent
	$(BIN)/mypy --platform win32 agent
	$(BIN)/lint-imports
	$(PYTEST) tests/unit/test_house.py

format: .venv/.dev ## let ruff write it the way `check` wants it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

reference: .venv/.dev ## write docs/reference from the code
	$(BIN)/python -m docs.reference.generate

docs: .venv/.dev ## build the documentation as a site: build/docs/index.html
	$(BIN)/mkdocs --quiet build --strict

bench: .venv/.dev ## measure: how soon a pool serves, what it costs when idle, how fast it answers and fans out
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.idle
	$(BIN)/python -m bench.requests
	$(BIN)/python -m bench.compact
	$(BIN)/python -m bench.scheduler
	$(BIN)/python -m bench.scheduler.backlog
	$(BIN)/python -m bench.tasks
	$(BIN)/python -m bench.agent
	$(BIN)/python -m bench.access
	$(BIN)/python -m bench.placement
	@$(MAKE) --no-print-directory bench-fanout

# FANOUT=--quick, or whatever else `python -m bench.fanout --help` lists.
bench-fanout: .venv/.dev build/load ## measure: how fast everybody sees everything, beside other servers
	$(BIN)/python -m bench.fanout $(FANOUT)

build/load: bench/fanout/load.c bench/fanout/meter.h
	@command -v $(CC) >/dev/null || { echo "no C compiler ($(CC)): the load generator of bench-fanout needs one; name another with CC=..." >&2; exit 1; }
	@mkdir -p build
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -o $@ $<

clean: ## remove the environment and everything that tools left
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/.server: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[server,python,lan]'
	@touch $@

# An older pip knows no --group, so the groups are read from pyproject.toml and given as a list.
GROUPS = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]

# What `make test` needs, and no more: a newcomer waits for it.
.venv/.test: .venv/.server
	@$(BIN)/python -c 'import tomllib; print(*$(GROUPS)["test"], sep="\n")' > .venv/test.txt
	$(BIN)/pip install --quiet --requirement .venv/test.txt
	@touch $@

.venv/.dev: .venv/.test
	@$(BIN)/python -c 'import tomllib; print(*(package for group in $(GROUPS).values() for package in group), sep="\n")' > .venv/dev.txt
	$(BIN)/pip install --quiet --requirement .venv/dev.txt
	@touch $@
