# `make help` lists the targets. Written for GNU make 3.81 and newer.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8080
API_PORT ?=
VAR ?= ./var
WORKERS ?=
MINUTES ?= 5
SEED ?=
GATEWAYS ?= 1

HOUSES = schemas dialects bus stores gateway workers console cli deploy bench
RUN = $(VENV)/bin/python

# An environment is made anew when what it was made from changes, not when a file's date does.
SUM := $(shell cat requirements.lock requirements-dev.lock | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/.penstock-$(SUM)
INSTALLED_DEV := $(VENV)/.penstock-dev-$(SUM)

.PHONY: help run stack chaos bench bench-quick run-bench run-bench-quick bench-docs test check fmt docs tools lock clean

help:
	@echo "make run      the whole system in the foreground  PORT=$(PORT) API_PORT=PORT+1 VAR=$(VAR) WORKERS=1 GATEWAYS=$(GATEWAYS)"
	@echo "make stack    the production shape here: Kafka, Postgres, Redis (after make tools)  PORT VAR WORKERS=2 GATEWAYS"
	@echo "make chaos    load over make stack while parts are killed, frozen and cut off  MINUTES=$(MINUTES) SEED"
	@echo "make bench    all figures, charts and one JSON file in $(VAR)/bench; half an hour, needs Go  SECTIONS SCALE=small MINUTES"
	@echo "make bench-quick  the gateway beside its peer in 90 s after the first build  SERVER=hypercorn RECORD=1"
	@echo "make bench-docs   write docs/performance.md from the JSON files FROM of one run or several"
	@echo "make test     every test, with a real Kafka, Postgres and Redis where they can be had"
	@echo "make check    style, types, the direction of imports, generated documents"
	@echo "make tools    fetch what the live tests start: Kafka, Postgres, Redis"
	@echo "make fmt      format the code"
	@echo "make docs     write the pages of docs/ that are made from the code"
	@echo "make lock     resolve the dependencies of pyproject.toml anew"
	@echo "make clean    remove the environment, caches and tools; $(VAR) stays"
	@echo "Variables: PYTHON=$(PYTHON) (3.11 to 3.13) VENV=$(VENV)"

run: $(INSTALLED)
	@exec $(RUN) -m cli dev --follow-parent --home "$(VAR)" --port $(PORT) $(if $(API_PORT),--api-port $(API_PORT)) --workers $(or $(WORKERS),1) --gateways $(GATEWAYS)

stack: $(INSTALLED)
	@exec $(RUN) -m cli stack --follow-parent --home "$(VAR)" --port $(PORT) $(if $(API_PORT),--api-port $(API_PORT)) --workers $(or $(WORKERS),2) --gateways $(GATEWAYS)

chaos: $(INSTALLED_DEV)
	@$(RUN) -m deploy.dev.tools
	@exec $(RUN) -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# With the fastest interpreter here, unless one is named: docs/performance.md
bench bench-quick:
ifneq ($(filter command environment,$(firstword $(origin PYTHON))),)
	@$(MAKE) --no-print-directory run-$@
else
	@fastest=$$($(PYTHON) bench/interpreter.py $(PYTHON)) || fastest="$(PYTHON)"; if [ "$$fastest" = "$(PYTHON)" ]; then venv="$(VENV)"; else venv="$(VENV)-bench"; fi; \
	$(MAKE) --no-print-directory run-$@ PYTHON="$$fastest" VENV="$$venv"
endif

run-bench: $(INSTALLED_DEV)
	@$(RUN) -m deploy.dev.tools
	@exec $(RUN) -m bench --var "$(VAR)/bench" --minutes $(MINUTES) $(if $(SECTIONS),--sections $(SECTIONS)) $(if $(SCALE),--scale $(SCALE)) $(if $(SERVER),--server $(SERVER)) $(if $(GROW),--grow $(GROW))

run-bench-quick: $(INSTALLED_DEV)
	@$(RUN) -m deploy.dev.tools
	@exec $(RUN) -m bench.quick $(if $(SERVER),--server $(SERVER)) $(if $(RECORD),--record)

bench-docs: $(INSTALLED_DEV)
	@$(RUN) -m bench --from $(FROM)

test: $(INSTALLED_DEV)
	@$(RUN) -m deploy.dev.tools || echo "make test: without these tools the live tests are skipped"
	@exec $(RUN) -m pytest -p tests.no_skips -n 2 --dist loadfile $(ARGS)

check: $(INSTALLED_DEV)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy $(HOUSES) tests
	$(VENV)/bin/lint-imports
	$(RUN) -m cli.documents --check

fmt: $(INSTALLED_DEV)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

docs: $(INSTALLED_DEV)
	$(RUN) -m cli.documents

tools: $(INSTALLED)
	@$(RUN) -m deploy.dev.tools

COMPILE = $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: $(INSTALLED_DEV)
	echo "setuptools>=77" | $(COMPILE) --upgrade pyproject.toml - -o requirements.lock
	echo "setuptools>=77" | $(COMPILE) --upgrade --group dev -c requirements.lock pyproject.toml - -o requirements-dev.lock

clean:
	rm -rf $(VENV) $(VENV)-bench .tools .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(INSTALLED): | $(VENV)/bin/python
	@echo "installing what Penstock needs into $(VENV); once, a minute or two"
	@$(RUN) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(RUN) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.penstock-[0-9]*
	@touch $@

$(INSTALLED_DEV): | $(INSTALLED)
	@echo "installing what its tests need into $(VENV); once"
	@$(RUN) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@rm -f $(VENV)/.penstock-dev-*
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Penstock needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is not one. Name it: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
