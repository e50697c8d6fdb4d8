# best: the answer from a fresh checkout; test, test-all, lint: what CI runs; map: CONTRIBUTING.md. Needs make and Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check -qq install --constraint constraints.txt
SETUP = pyproject.toml constraints.txt

.PHONY: best test test-all lint map clean
.DEFAULT_GOAL := best

best: $(VENV)/.ready
	@$(VENV)/bin/codesign best

test: $(VENV)/.ready-test
	$(VENV)/bin/python -m pytest

test-all: $(VENV)/.ready-test
	$(VENV)/bin/python -m pytest -m "not benchmark"
	$(VENV)/bin/python -m pytest -m benchmark --numprocesses=0

lint: $(VENV)/.ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

map: $(VENV)/.ready-test
	$(VENV)/bin/python -m tests.house_map

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find codesign formulations instances tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "codesign needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: $(SETUP) | $(VENV)/bin/pip
	@echo "installing codesign into $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.ready-test: $(SETUP) | $(VENV)/bin/pip
	@echo "installing codesign[test] into $(VENV) ..."
	@$(PIP) --editable '.[test]'
	@touch $(VENV)/.ready $@
