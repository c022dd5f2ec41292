# Every target makes the project's own .venv first, where it is not there yet: `make test` on a fresh machine is enough.
# Needed: make and Python 3.11 or newer.

PYTHON := .venv/bin/python
DEV := .venv/.installed-dev
DEMO := .venv/.installed-demo

# Keeps TensorFlow's start-up notes out of the output.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test bench docs lint format clean

help:
	@echo "make demo     train on real speech data and draw the results into out/ (small install: JAX only)"
	@echo "make test     all tests on JAX, PyTorch and TensorFlow, and Keras's own tests"
	@echo "make bench    time and check against Keras's layers"
	@echo "make docs     write the pages of all error codes into site/"
	@echo "make lint     ruff, mypy, import-linter"
	@echo "make format   let ruff format the code"
	@echo "make clean    remove what the targets made, but not .venv"

demo: $(DEMO)
	KERAS_BACKEND=jax $(PYTHON) examples/japanese_vowels.py --out out

test: $(DEV)
	@sh scripts/install_valkey.sh
	$(PYTHON) scripts/run_tests.py

bench: $(DEV)
	$(PYTHON) benchmarks/run.py

docs: $(DEV)
	$(PYTHON) docs/build.py

lint: $(DEV)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo'])"

format: $(DEV)
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

clean:
	rm -rf out site build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find src tests benchmarks examples scripts docs -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ---------------------------------------------------------------------------------------------
# The stamps hold the folder they were made in, because an editable install of a moved checkout points elsewhere.

ifneq ($(shell cat $(DEV) 2>/dev/null),$(CURDIR))
.PHONY: $(DEV)
endif
ifneq ($(shell cat $(DEMO) 2>/dev/null),$(CURDIR))
.PHONY: $(DEMO)
endif

define venv
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  for name in python3 python3.13 python3.12 python3.11 python; do \
	    if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$name; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "make: no Python 3.11 or newer found (looked for python3)" >&2; exit 1; fi; \
	  echo "making .venv with $$($$found --version)"; \
	  $$found -m venv --clear .venv; }
endef

$(DEV): pyproject.toml
	$(venv)
	@echo "installing Sostenuto with its three backends and its tools into .venv (some minutes)"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@echo "$(CURDIR)" > $(DEMO)
	@echo "$(CURDIR)" > $@

$(DEMO): pyproject.toml
	$(venv)
	@echo "installing Sostenuto with JAX and what the demo needs into .venv"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@echo "$(CURDIR)" > $@
