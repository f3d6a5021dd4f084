# Two commands: `make demo` and `make test`. The rest is for those who stay.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAKE ?= data_lake
export LOGAD_LAKE := $(LAKE)

.PHONY: demo test story hostile check dev mlflow clean install benchmark load soak

install: $(VENV)/.installed

# torch comes first and by its exact version: left to a range, pip would bring gigabytes of CUDA.
$(VENV)/.installed: constraints.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/logad init
	$(BIN)/logad simulate
	$(BIN)/logad ingest $(LAKE)/simulated/*.log
	$(BIN)/logad run
	$(BIN)/logad report
	@echo
	@echo "Dagster's pages:  make dev      then http://127.0.0.1:3000"
	@echo "MLflow's pages:   make mlflow   then http://127.0.0.1:5000"

# One thread a worker: two that each use all cores are slower than either.
WORKERS ?= 2
test: install check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# A whole deployment over minutes, with its servers and a browser where Chromium is installed.
story: install
	$(BIN)/python -m pytest -m story -s

# What was planted in logs to leak or to be obeyed, and what came of it: secrets, injected orders to a language model,
# scripts, formulas, terminal escapes; on pages, in reports, CSV and the terminal.
hostile: install
	$(BIN)/python -m pytest -sq logad_pipeline_tests/explanation/test_redaction.py \
	  logad_pipeline_tests/explanation/test_language_model.py logad_pipeline_tests/serving/pages/test_payloads.py \
	  logad_pipeline_tests/reporting/test_report.py logad_pipeline_tests/reporting/test_browser.py

check: install
	$(BIN)/ruff check .
	$(BIN)/mypy

dev: install
	$(BIN)/logad init
	$(BIN)/logad dev

mlflow: install
	$(BIN)/logad init
	$(BIN)/logad mlflow

# The tables of the README: make benchmark DATA=… (folder with hdfs, openstack, authlog, linux, thunderbird)
JOBS ?= 2
SEEDS ?= 0,1,2
STEPS ?= 400
benchmark: install
	for run in "hdfs" "hdfs --variant unlabelled" "openstack" "openstack --variant per-host" \
	  "openstack --variant unlabelled" "authlog" "linux" "thunderbird"; do \
	  $(BIN)/logad benchmark $$run --data $(DATA) --seeds $(SEEDS) --jobs $(JOBS) --max-steps $(STEPS) \
	    --output benchmark || exit 1; \
	done

# How the API bears load: a table of 1 to 64 clients, and five minutes with an eye on its memory.
load: install
	$(BIN)/python benchmarks/load.py --output benchmark/load.json

soak: install
	$(BIN)/python benchmarks/load.py --soak 300 --output benchmark/soak.json

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
