# What a person types. `make demo` and `make test` need Python >= 3.11, git and make, and set up the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint clean
help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/core.stamp ## learn the 8x8 digits on the simulated chip
	$(BIN)/flipcore simulate digits

test: $(VENV)/dev.stamp iverilog lint ## check and test everything
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/dev.stamp ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: iverilog
iverilog:
	@command -v iverilog >/dev/null || \
	  { if [ "$$(id -u)" = 0 ]; then run=; else run="sudo -n"; fi; \
	    $$run apt-get update -qq && $$run apt-get install -y -qq iverilog >/dev/null; } || \
	  { echo "Icarus Verilog is missing: install the package iverilog" >&2; exit 3; }

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it with make PYTHON=..." >&2; exit 3; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "venv is missing: install the package python3-venv" >&2; rm -rf $(VENV); exit 3; }

$(VENV)/core.stamp: pyproject.toml constraints.txt $(VENV)/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[rtl,dev]'
	@touch $@

clean: ## remove the environment and what tools leave behind
	rm -rf $(VENV) build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
