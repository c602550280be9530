# What a person types daily. `make` alone says what there is.

PYTHON ?= python3
READY := .venv/ready
ACTIVATE := . .venv/bin/activate &&

.PHONY: help run test test-lab lint format timings benchmark-simulation benchmark-data benchmark-training gpu-run clean

help:
	@echo "make run      simulate, train, evaluate, draw; a second time: nothing, or what your changes touch"
	@echo "make test     the test suite"
	@echo "make test-lab faults on purpose, clusters and environments; long"
	@echo "make lint     ruff, snakefmt, snakemake --lint"
	@echo "make format   let ruff and snakefmt put the code into shape"
	@echo "make timings  seconds and memory of each stage of the last run"
	@echo "make benchmark-simulation   rate of the simulation against that of Pythia alone"
	@echo "make benchmark-data         rates from Pythia to shards, each against its yardstick"
	@echo "make benchmark-training     rate of the training against the reference's way and the device's limit"
	@echo "make gpu-run JETS=2000000   simulate, preprocess, train and evaluate the reference's experiment, in one go"
	@echo "make clean    remove results/ and what Snakemake remembers of it"

$(READY): envs/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "topmass needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.12")'
	@echo "setting up .venv, once; this takes about two minutes"
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --only-binary pythia8mc -r envs/requirements.txt
	@touch $@

run: $(READY)
	@$(ACTIVATE) python workflow/start.py

test: $(READY)
	@$(ACTIVATE) pytest -m "not lab"

test-lab: $(READY)
	@$(ACTIVATE) pytest -m lab

lint: $(READY)
	@$(ACTIVATE) ruff check . && ruff format --check . && snakefmt --check Snakefile workflow/rules && snakemake --lint

format: $(READY)
	@$(ACTIVATE) ruff check --fix . && ruff format . && snakefmt Snakefile workflow/rules

timings: $(READY)
	@$(ACTIVATE) python workflow/scripts/timings.py

benchmark-simulation: $(READY)
	@$(ACTIVATE) python workflow/scripts/benchmark_simulation.py

benchmark-data: $(READY)
	@$(ACTIVATE) python workflow/scripts/benchmark_data.py

benchmark-training: $(READY)
	@$(ACTIVATE) python workflow/scripts/benchmark_training.py

JETS ?= 2000000
gpu-run: $(READY)
	@$(ACTIVATE) python workflow/scripts/gpu_run.py --jets $(JETS) --benchmark

clean:
	rm -rf results .snakemake
