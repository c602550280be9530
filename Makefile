# Commands for daily use. `make` alone lists them.

PYTHON ?= python3
# Python is called by its path: `activate` and the scripts next to it contain the original path of a moved folder.
IN := .venv/bin/python
# These options override the install location in the user's pip settings (file or environment).
HERE := --no-user --target= --root=/ --prefix="$(CURDIR)/.venv"

# With these variables, packages of a lab's software stack or of a user's folder would override those of .venv.
ifneq ($(PYTHONPATH)$(PYTHONHOME),)
$(info without PYTHONPATH and PYTHONHOME: packages come from .venv alone)
endif
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH
export PYTHONNOUSERSITE := 1

.PHONY: help ready .venv/ready run test test-lab lint format timings benchmark-data benchmark-training benchmark-inference benchmark-busy oracle ablation validate-detector docs clean

help:
	@echo "make ready    set up .venv if it is missing or from another machine"
	@echo "make run      simulate, train, evaluate, draw; a second call reruns only steps affected by changes"
	@echo "make test     run the test suite"
	@echo "make test-lab test injected faults, clusters and environments; long"
	@echo "make lint     run ruff, snakefmt and snakemake --lint"
	@echo "make format   format the code with ruff and snakefmt"
	@echo "make timings  print time (s) and memory of each stage of the last run"
	@echo "make benchmark-data         measure the throughput from Pythia to shards, each stage relative to its reference"
	@echo "make benchmark-training     measure the throughput of training, relative to the reference and the device limit"
	@echo "make benchmark-inference    measure the throughput of trained networks in torch and in ONNX Runtime"
	@echo "make benchmark-busy         measure the throughput of training next to busy processes, relative to idle"
	@echo "make oracle   estimate the best possible MAE, from the quarks inside the window; some minutes"
	@echo "make ablation measure the errors of make run's network on perturbed test jets; some minutes"
	@echo "make validate-detector    compare the detector simulation with published properties of CMS; some minutes"
	@echo "make docs     build the documentation in docs/_build/html; after its set-up it needs no network"
	@echo "make clean    remove results/ and .snakemake/, the records of Snakemake"

# A .venv is ready if its Python runs here and has exactly these packages. File times are no test: copies have new ones.
ready .venv/ready:
	@cmp -s envs/requirements.txt .venv/ready && $(IN) -c 'import snakemake' 2>/dev/null || $(MAKE) --no-print-directory .venv

.PHONY: .venv
.venv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "topmass needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import shutil, sys, tempfile as t; f = t.gettempdir(); free = shutil.disk_usage(f).free / 1e9; sys.exit(free < 1 and f"TMPDIR={f}: {free:.1f} GB are free, and pip unpacks packages there; expected 1 GB or more; to fix: TMPDIR=<another folder> make")'
	@echo "setting up .venv, once; this takes about two minutes"
	@$(IN) -m pip --version >/dev/null 2>&1 || { test ! -L .venv || rm .venv; $(PYTHON) -m venv --clear .venv; }
	@$(IN) -m pip install $(HERE) --quiet --disable-pip-version-check --only-binary pythia8mc -r envs/requirements.txt
	@cp envs/requirements.txt .venv/ready

run: ready
	@$(IN) workflow/start.py

# Two processes on two cores: more threads of torch would wait for each other. tests/conftest.py distributes the tests.
test: ready
	@OMP_NUM_THREADS=1 $(IN) -m pytest -m "not lab" --numprocesses 2

test-lab: ready
	@OMP_NUM_THREADS=1 $(IN) -m pytest -m lab --numprocesses 2 --timeout 2400

lint: ready
	@$(IN) -m ruff check . && $(IN) -m ruff format --check . && $(IN) -m snakefmt --check Snakefile workflow/rules && $(IN) -m snakemake --lint

format: ready
	@$(IN) -m ruff check --fix . && $(IN) -m ruff format . && $(IN) -m snakefmt Snakefile workflow/rules

timings: ready
	@$(IN) workflow/scripts/timings.py

benchmark-data benchmark-training benchmark-inference benchmark-busy: benchmark-%: ready
	@$(IN) -m benchmarks.$*

oracle: ready
	@$(IN) studies/oracle.py

ablation: ready
	@$(IN) studies/ablation.py results/train/fast/1/model.safetensors results/shards/all_layers

validate-detector: ready
	@$(IN) studies/validate_detector.py

# Only the first call installs Sphinx.
docs: ready
	@cmp -s envs/docs.txt .venv/docs || { $(IN) -m pip install $(HERE) --quiet --disable-pip-version-check -r envs/docs.txt && cp envs/docs.txt .venv/docs; }
	@$(IN) -m sphinx --fail-on-warning --keep-going --quiet --jobs auto docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf results .snakemake
