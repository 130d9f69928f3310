# make demo: the whole pipeline on phantoms. make test: the test suite. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-cluster test-interruption lint schema docs lock install

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medbench needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: install
	$(BIN)/snakemake --cores 2 --configfile workflow/presets/demo.yaml
	@cat results/demo/tables/demo/utility.md
	@echo
	@echo "report:  results/demo/report.html"
	@echo "tables:  results/demo/tables/demo/ (fid and utility, each as .csv, .md, .tex)"
	@echo "figures: results/demo/figures/demo/ (.png, .svg)"

test: install
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-interruption: install
	$(BIN)/pytest --numprocesses 2 --dist worksteal -m interruption

test-cluster: install
	$(BIN)/pytest -m cluster tests/cluster

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --diff .
	$(BIN)/mypy medbench
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive medbench benchmarks
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile workflow/presets/demo.yaml

schema: install
	$(BIN)/python -c 'import json; from medbench.config.study import Config; print(json.dumps(Config.model_json_schema(), indent=1))' \
		> workflow/schemas/config.schema.json

docs: install
	$(BIN)/python benchmarks/fairness.py > docs/fairness.md
	$(BIN)/python benchmarks/costs.py > docs/costs.md

lock:
	uv pip compile pyproject.toml --extra dev --extra cluster --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url -o requirements.lock
