# What a person types daily. `make` alone says what there is.

PYTHON ?= python3
# By its path: `activate`, and the scripts beside it, name the folder that they were made in, which may have been moved.
IN := .venv/bin/python
# Whatever a user's settings of pip, in its file or the environment, say of where packages go.
HERE := --no-user --target= --root=/ --prefix="$(CURDIR)/.venv"

# By these, a lab's software stack or a user's own folder lets other packages go before those of .venv.
ifneq ($(PYTHONPATH)$(PYTHONHOME),)
$(info without PYTHONPATH and PYTHONHOME: packages come from .venv alone)
endif
unexport PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE := 1

.PHONY: help ready run test test-lab lint format timings benchmark-simulation benchmark-data benchmark-training benchmark-inference floor shortcuts gpu-run clean

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
	@echo "make benchmark-inference    rate at which trained networks are used, by torch and by onnxruntime"
	@echo "make floor    how well the mass can be known from the quarks in a jet's window; some minutes"
	@echo "make shortcuts    what the network of make run loses with something taken from its test jets; some minutes"
	@echo "make gpu-run JETS=2000000   simulate, preprocess, train and evaluate the reference's experiment, in one go"
	@echo "make clean    remove results/ and what Snakemake remembers of it"

# Ready is a .venv whose Python runs here and has these very packages; times say nothing, since copies have new ones.
ready:
	@cmp -s envs/requirements.txt .venv/ready && $(IN) -c 'import snakemake' 2>/dev/null || $(MAKE) --no-print-directory .venv

.PHONY: .venv
.venv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "topmass needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.12")'
	@echo "setting up .venv, once; this takes about two minutes"
	@$(IN) -m pip --version >/dev/null 2>&1 || { test ! -L .venv || rm .venv; $(PYTHON) -m venv --clear .venv; }
	@$(IN) -m pip install $(HERE) --quiet --disable-pip-version-check --only-binary pythia8mc -r envs/requirements.txt
	@cp envs/requirements.txt .venv/ready

run: ready
	@$(IN) workflow/start.py

# Two processes share two cores: threads of torch would wait for each other.
test: ready
	@OMP_NUM_THREADS=1 $(IN) -m pytest -m "not lab" --numprocesses 2 --dist loadfile

test-lab: ready
	@$(IN) -m pytest -m lab

lint: ready
	@$(IN) -m ruff check . && $(IN) -m ruff format --check . && $(IN) -m snakefmt --check Snakefile workflow/rules && $(IN) -m snakemake --lint

format: ready
	@$(IN) -m ruff check --fix . && $(IN) -m ruff format . && $(IN) -m snakefmt Snakefile workflow/rules

timings: ready
	@$(IN) workflow/scripts/timings.py

benchmark-simulation: ready
	@$(IN) workflow/scripts/benchmark_simulation.py

benchmark-data: ready
	@$(IN) workflow/scripts/benchmark_data.py

benchmark-training: ready
	@$(IN) workflow/scripts/benchmark_training.py

benchmark-inference: ready
	@$(IN) workflow/scripts/benchmark_inference.py

floor: ready
	@$(IN) workflow/scripts/measure_floor.py

shortcuts: ready
	@$(IN) workflow/scripts/measure_shortcuts.py results/train/fast/1/model.safetensors results/shards/all_layers

JETS ?= 2000000
gpu-run: ready
	@$(IN) workflow/scripts/gpu_run.py --jets $(JETS) --benchmark

clean:
	rm -rf results .snakemake
