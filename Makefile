# make demo | test | test-fast | lint | lab | labs | mutants | results: each builds on `make setup`, which makes .venv and is
# skipped when up to date.
PYTHON ?= python3
BIN := .venv/bin
RESULTS ?= docs/results/minicifar-vgg_mini.jsonl
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 2

.PHONY: setup demo test test-fast lint lab labs mutants results format clean

setup: .venv/.up-to-date

.venv/.up-to-date: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/autograder demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(PYTEST)

test-fast: setup  # for every day, under two minutes; `make test` and CI leave nothing out
	$(PYTEST) -m "not slow"

labs: setup
	$(BIN)/python -m pytest tests/labs/test_editions.py --full-training

mutants: setup  # of the answers whose code or checks have changed; some minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m autograder.authoring.mutants

results: setup
	$(BIN)/python -m studies.results $(RESULTS)

lab: setup
	test -d course/release || $(BIN)/autograder release
	$(BIN)/jupyter lab course/release

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
