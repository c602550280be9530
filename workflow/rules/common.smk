"""What all rules share: the checked configuration, lists of files, and a hash of the code behind a script."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import yaml
from snakemake.utils import update_config

# These three lie beside this file.
import configuration
from configuration import SAFE_NAME, file_name, fill_in, find_problem, source_of
from imports import content_hash
from turns import take_turn

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
# This repository; `workflow.basedir` is another's, where another workflow uses this one as a module.
HOUSE = Path(configuration.__file__).parents[2]


# Whether a group shares what is expensive and always the same: simulate, download, sparsify, shards. See docs/cluster.md.
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ


def check_config(config):
    """End with one line on what is wrong with the configuration, if anything is; else fill in defaults."""
    # Snakemake reads no `configfile:` of a module, so that its user would have to give every setting.
    # By way of JSON, since parts that YAML's anchors share must not change together.
    everything = json.loads(json.dumps(yaml.safe_load((HOUSE / "config.yaml").read_text())))
    update_config(everything, config)
    config.update(everything)
    schema = HOUSE / "workflow/schemas/config.schema.yaml"
    problem = find_problem(config, schema)
    if problem:
        key, message = problem
        # Not an exception: Snakemake would wrap it into lines of its own code.
        source = source_of(key, config, workflow.configfiles)
        sys.exit(f"{source}: {'.'.join(key) or 'top level'}: {message}")
    fill_in(config, schema)


def hold_turn():
    """Let `workflow/start.py` know, on this and other machines, that a run is at work in this folder."""
    if workflow.is_main_process:
        with suppress(OSError):
            take_turn(Path())


def code_hash(script):
    """Hash of the content of a script and of all of the library that it reaches; a param of every rule with a script."""
    return content_hash(HOUSE / "workflow/scripts" / script)


def blocks(sample):
    """Numbers of the blocks that hold the jets asked of a sample, as they stand in file names."""
    settings = config["samples"][sample]
    if "files" in settings:
        number = len(settings["files"]) * settings["blocks_per_file"]
    else:
        number = -(-settings["jets"] // settings["jets_per_block"])
    return [f"{block:05d}" for block in range(number)]


def samples(of_files):
    """A pattern of the names of all samples of files, or of all others."""
    names = [name for name, settings in config["samples"].items() if ("files" in settings) == of_files]
    # A pattern must match something; no sample has a name like this.
    return "|".join(names) or "-"


def file_of(wildcards):
    """The entry of the configuration for a file that is to be saved by this name."""
    files = config["samples"][wildcards.sample]["files"]
    return next((file for file in files if "url" in file and file_name(file) == wildcards.file), {})


def place_in_file(wildcards):
    """For a block: the number of its file in the sample, and which part of the file it is."""
    return divmod(int(wildcards.block), config["samples"][wildcards.sample]["blocks_per_file"])


def source_of_block(wildcards):
    """The file that a block comes from."""
    file = config["samples"][wildcards.sample]["files"][place_in_file(wildcards)[0]]
    return file["path"] if "path" in file else f"results/download/{wildcards.sample}/{file_name(file)}"


def tables(wildcards):
    """The jet tables of a dataset."""
    sample = config["datasets"][wildcards.dataset]["sample"]
    return expand("results/jets/{sample}/{block}.parquet", sample=sample, block=blocks(sample))


def shards(split):
    """Input function: the shards of one split of a rule's dataset, named directly or by its experiment."""

    def of(wildcards):
        dataset = wildcards.get("dataset") or config["experiments"][wildcards.experiment]["dataset"]
        sample = config["datasets"][dataset]["sample"]
        return expand(
            "results/shards/{dataset}/{split}/{block}.npz", dataset=dataset, split=split, block=blocks(sample)
        )

    return of


def statistics(wildcards):
    """The statistics of a rule's dataset, named directly or by its experiment."""
    dataset = wildcards.get("dataset") or config["experiments"][wildcards.experiment]["dataset"]
    return f"results/preprocess/{dataset}/statistics.json"


def kept(pattern):
    """A path among the results of a training, wherever a module's prefix has put them, that is no output of its rule."""
    return lambda wildcards, output: str(Path(output.history).parents[3] / pattern.format(**dict(wildcards.items())))


def runs(pattern):
    """One file for each experiment and seed that are to be run."""
    return expand(pattern, experiment=config["run"]["experiments"], seed=config["run"]["seeds"])


def datasets_run():
    """Names of the datasets of the experiments that are to be run."""
    return sorted({config["experiments"][experiment]["dataset"] for experiment in config["run"]["experiments"]})


def print_summary():
    """The short tables of all runs, and where to look."""
    for summary in runs("results/evaluate/{experiment}/{seed}/summary.txt"):
        if Path(summary).exists():
            print(f"\n{Path(summary).read_text()}")
    if Path("results/report.html").exists():
        print("Everything in one page: results/report.html; the figures: results/figures/")


def print_advice():
    """What to do after an error, said once for all stages."""
    print(
        "\nWhat went wrong stands above, in lines with 'error:'. What was finished is kept, and the next run goes on there."
    )
    print("A file under results/ that is damaged or of other data: remove it, and the next run makes it anew.")
    print("A file that is younger than it can be, by a clock that was wrong: touch it.")


def leave_out_benchmarks():
    """Of the rules whose results are shared: Snakemake refuses them there, having none for what it takes from elsewhere."""
    for each in workflow.rules:
        if SHARED and each.cache.output:
            each._benchmark = None
