# Every target makes the project's own .venv first, where it is not there yet: `make test` on a fresh machine is enough.
# Needed: make and Python 3.11 or newer; a C++ compiler (GCC or Clang) for the native kernels, which are left out without.

PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check
DEV := .venv/.installed-dev
DEMO := .venv/.installed-demo
NATIVE := .venv/.installed-native

# Keeps TensorFlow's start-up notes out of the output.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test native native-test bench docs lint format clean

help:
	@echo "make demo     train on real speech data and draw the results into out/ (small install: JAX only)"
	@echo "make test     all tests on JAX, PyTorch and TensorFlow, and Keras's own tests"
	@echo "make native   build the native kernels again, where their sources changed"
	@echo "make native-test  the C++ tests, plainly and under the sanitizers of addresses and undefined behaviour"
	@echo "make bench    time and check against Keras's layers"
	@echo "make docs     build the site: quick start, concepts, all codes, reference; open site/index.html"
	@echo "make lint     ruff, mypy, import-linter"
	@echo "make format   let ruff format the code"
	@echo "make clean    remove what the targets made, but not .venv"

demo: $(DEMO) $(NATIVE)
	KERAS_BACKEND=jax $(PYTHON) examples/japanese_vowels.py --out out

test: $(DEV) $(NATIVE)
	@sh scripts/install_valkey.sh
	@sh scripts/install_chromium.sh
	$(PYTHON) scripts/run_tests.py

native: $(DEV) $(NATIVE)

native-test: $(DEV)
	$(PYTHON) scripts/run_native_tests.py plain address,undefined

bench: $(DEV) $(NATIVE)
	$(PIP) 'sostenuto[bench]'
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
	rm -f src/sostenuto/_native.* $(NATIVE)
	find src tests benchmarks examples scripts docs -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ---------------------------------------------------------------------------------------------
# The stamps hold the folder they were made in, because an editable install of a moved checkout points elsewhere, and
# that of the native kernels the compiler, because one may be installed later.

COMPILER := $(shell command -v $${CXX:-c++} || command -v g++ || command -v clang++)
SOURCES := $(shell find native -name '*.cpp' -o -name '*.h' -o -name '*.map') native/CMakeLists.txt

ifneq ($(shell cat $(DEV) 2>/dev/null),$(CURDIR))
.PHONY: $(DEV)
endif
ifneq ($(shell cat $(DEMO) 2>/dev/null),$(CURDIR))
.PHONY: $(DEMO)
endif
ifneq ($(filter-out $(CURDIR):$(COMPILER),$(shell cat $(NATIVE) 2>/dev/null)),)
.PHONY: $(NATIVE)
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

# What the build needs is installed into .venv, too: in pip's throw-away environments it would start anew each time. Of
# jaxlib any version will do, since the headers are those of the library that is used.
# Where there is a compiler, a build that fails is an error here, and not an install without the native kernels.
define build
	@$(PIP) 'cmake>=3.26' ninja jaxlib $$($(PYTHON) -c "import tomllib; \
	  system = tomllib.load(open('pyproject.toml', 'rb'))['build-system']; \
	  print(*(name for name in system['requires'] if not name.startswith('jaxlib')))")
	@echo "$(if $(COMPILER),building the native kernels with $(COMPILER),no C++ compiler found: leaving out the native kernels)"
	SOSTENUTO_NATIVE=$(if $(COMPILER),1) $(PIP) --no-build-isolation --no-deps -e .
	@echo "$(CURDIR):$(COMPILER)" > $(NATIVE)
endef

$(DEV): pyproject.toml
	$(venv)
	@echo "installing Sostenuto with its three backends and its tools into .venv (some minutes)"
	$(build)
	$(PIP) 'sostenuto[dev]'
	@echo "$(CURDIR)" > $(DEMO)
	@echo "$(CURDIR)" > $@

$(DEMO): pyproject.toml
	$(venv)
	@echo "installing Sostenuto with JAX and what the demo needs into .venv"
	$(build)
	$(PIP) 'sostenuto[demo]'
	@echo "$(CURDIR)" > $@

$(NATIVE): $(SOURCES) src/sostenuto/kernels/native_module.py
	$(build)
