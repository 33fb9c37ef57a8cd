# make demo and make test work on a fresh machine with Python 3.11+: they make the environment first.
# The first run downloads packages; later runs start at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint fix docs measure bench bench-peers bench-serving clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/python:
	@echo "Making a Python environment in $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "itemlm needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# One marker per set of packages, made anew when the project's requirements change.
$(VENV)/.torch: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing itemlm with PyTorch (about 900 MB; once) ..."
	@$(PIP) torch
	@$(PIP) --editable '.[torch,plots]'
	@touch $@

$(VENV)/.dev: $(VENV)/.torch
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[torch,plots,dev]'
	@touch $@

$(VENV)/.slow: $(VENV)/.dev
	@echo "Installing what the slow tests need ..."
	@$(PIP) --editable '.[torch,plots,dev,slow]'
	@touch $@

$(VENV)/.docs: $(VENV)/.torch
	@echo "Installing what the documentation needs ..."
	@$(PIP) --editable '.[torch,plots,docs]'
	@touch $@

demo: $(VENV)/.torch ## simulate viewers of real films, fit four models, open the report
	@$(BIN)/itemlm demo

test: $(VENV)/.dev ## the tests, minutes
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy --no-error-summary
	@$(BIN)/python -m pytest -n auto --dist loadscope

test-all: $(VENV)/.slow ## the slow tests too
	@$(BIN)/python -m pytest -n auto --dist loadscope -m 'slow or not slow'

lint: $(VENV)/.dev ## style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

fix: $(VENV)/.dev ## mend style where a tool can
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

docs: $(VENV)/.docs ## the documentation, into site/
	@$(BIN)/mkdocs build --strict --quiet && echo "Open site/index.html"

PAPER ?= sasrec
DATA ?= demo
measure: $(VENV)/.torch ## a measured row: make measure PAPER=sasrec DATA=amazon2014-beauty
	@$(BIN)/itemlm compare popularity $(PAPER) --data $(DATA) --seeds 3

FIGURES := training evaluation single_user classic beams decoding set_decoding tokenizer data growth start filters
SERVING := throughput overload swap kill fresh_item same_answers hostile soak
bench-peers: $(VENV)/.torch ## install the peers that we measure ourselves against, 9 GB
	@$(BIN)/python bench/harness/peers.py

bench: $(VENV)/.torch ## race all peers, and write docs/performance.md from the results
	@for figure in $(FIGURES); do $(BIN)/python bench/$$figure.py || exit 1; done
	@$(BIN)/python bench/harness/page.py

bench-serving: $(VENV)/.slow ## load, overload, swaps, kills and hostile input on a service of this machine, 40 minutes
	@for figure in $(SERVING); do $(BIN)/python bench/serving/$$figure.py || exit 1; done
	@$(BIN)/python bench/serving/page.py

clean: ## remove the environment and what was built
	rm -rf $(VENV) site build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
