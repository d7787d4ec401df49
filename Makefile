# Two commands for a newcomer: `make bench` and `make test`. The rest is for developers.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: bench test check thorough quick speed lint types clean

bench: $(STAMP)  ## the quickstart grid on embedded data
	$(BIN)/python run_bench.py

test: $(STAMP)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "not thorough"

thorough: $(STAMP)  ## every test, the commands of the documents and the longest grids among them
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

quick: $(STAMP)  ## a developer's inner loop, under a minute
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow"

speed: $(STAMP)  ## benchmarks, as ratios against references in the same run
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/speed --benchmark-only --benchmark-disable-gc -p no:xdist -m speed -s

lint: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

# the build's own tools come from the environment, so that constraints hold for them too
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gantlet needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "setuptools>=77"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .benchmarks
