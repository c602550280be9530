"""Helpers of all rules: the validated configuration, lists of files, and code hashes of scripts."""

import os
import re
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from snakemake.io import is_flagged
from snakemake.utils import available_cpu_count

sys.path.append(str(Path(workflow.current_basedir).parent / "scripts"))
from topmass.config.config_sources import ConfigSource, read_arguments, read_file
from topmass.config.configuration import REPO_ROOT, configure
from topmass.config.content_hash import content_of, hash_of, reached
from topmass.config.cross_checks import SAFE_NAME, file_name, number_of_blocks
from topmass.config.predict_config import file_of_masses, is_trained_here
from topmass.config.run_lock import acquire_run_lock, require_writable
from topmass.config.run_metadata import citations, config_of, pinned_packages
from topmass.config.snakemake_hooks import install_brief_log, outdated_files, refuse_unrecorded, store_with_results
from topmass.files import BadInput
from topmass.io.locations import expand_variables
from topmass.limits import available_cores
from topmass.openmp import limit_spinning

# Jobs inherit these environment variables, also in conda environments. On a cluster each job executes this line.
limit_spinning()

# True if a group shares expensive, reproducible outputs: simulate, download, convert, shards. See docs/cluster.md.
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ
MAIN_SNAKEFILES = {REPO_ROOT / "Snakefile", REPO_ROOT / "workflow/Snakefile"}
IS_MODULE = Path(workflow.main_snakefile).resolve() not in MAIN_SNAKEFILES


@contextmanager
def one_line():
    """Exit with the message of a BadInput alone: Snakemake would add lines of its own code to an exception."""
    try:
        yield
    except BadInput as error:
        sys.exit(str(error))


def check_config():
    """Complete and validate the configuration in place; exit with one line if it is invalid."""
    with one_line():
        if IS_MODULE:
            sources = [ConfigSource("the configuration of the module", config)]
        else:
            # The files are read again, because Snakemake silently drops a duplicate key.
            arguments = read_arguments(workflow.config_settings.config_args or [])
            sources = [*map(read_file, workflow.overwrite_configfiles), arguments]
        # Only the main process checks that files exist: a file may be deleted after its blocks are made.
        complete = configure(sources, look=workflow.is_main_process)
    config.clear()
    config.update(complete)


def prepare_run():
    """Acquire the run lock of the working directory, and limit `cores: all` to the CPU quota; main process only."""
    if not workflow.is_main_process:
        return
    install_brief_log()
    # These two options write no metadata.
    if not {"--lint", "--list-rules"} & {*sys.argv}:
        with one_line():
            require_writable(Path(), Path(workflow.main_snakefile))
    # `workflow/start.py` waits for this lock.
    with suppress(OSError):
        acquire_run_lock(Path())
    # Snakemake ignores quotas.
    by_number = re.search(r" (-c|-j|--cores|--jobs)[ =]?\d", " ".join(sys.argv))
    if workflow.resource_settings.cores == available_cpu_count() and not by_number:
        workflow.register_resource("_cores", available_cores())


def check_records():
    """Reject outputs without a record of their settings: Snakemake would accept them for any configuration."""
    # The results of a module have a prefix that is unknown at this point.
    if not workflow.is_main_process or IS_MODULE:
        return
    with one_line():
        # A read-only folder is still readable.
        with suppress(OSError):
            store_with_results()
        # `workflow.touch` is set only later. Downloads have checksums instead of records.
        if not {"--touch", "-t"} & {*sys.argv}:
            rules_with_records = [rule for rule in workflow.rules if rule.name != "download"]
            refuse_unrecorded(str(output) for rule in rules_with_records for output in rule.output)


def names(section):
    """Return a regular expression of the names of all samples, datasets or experiments."""
    return "|".join(config[section])


def code_hash(*files):
    """Return the hash of scripts and of all library files that they import; a parameter of every rule with a script."""
    scripts = REPO_ROOT / "workflow/scripts"
    return hash_of(reached(*(scripts / file for file in files), scripts=scripts))


def settings(entry, *keys):
    """Return parameters with the values of these keys of an entry of the configuration, such as "samples/{sample}"."""
    return {key: lookup(within=config, dpath=f"{entry}/{key}") for key in keys}


def not_compared(value):
    """Return a parameter function whose value may change without a rerun, such as the path of this repository.

    Snakemake does not compare parameters that depend on the output.
    """
    return lambda wildcards, output: value


def outside_outputs(pattern):
    """Return a parameter function: a path in the results that is no output of `train`, with the prefix of a module."""
    return lambda wildcards, output: str(Path(output.history).parents[3] / pattern.format(**dict(wildcards.items())))


def blocks(sample):
    """Return the block numbers of a sample, formatted as in file names."""
    return [f"{block:05d}" for block in range(number_of_blocks(config["samples"][sample]))]


def block_of(sample, block):
    """Return a block number as an integer; exit with one line if the sample does not have this block."""
    number = number_of_blocks(config["samples"][sample])
    if not int(block) < number or block != f"{int(block):05d}":
        # Only a target of the user can be wrong: the workflow itself requests targets from `blocks`.
        sys.exit(f"block {block} of the sample '{sample}': there are {number:,}, 00000 to {number - 1:05d}")
    return int(block)


def jet_tables(sample):
    """Return all jet tables of a sample."""
    return expand("results/jets/{sample}/{block}.parquet", sample=sample, block=blocks(sample))


def samples(of_files):
    """Return a regular expression of the names of all samples from files, or of all simulated samples."""
    names = [name for name, sample in config["samples"].items() if ("files" in sample) == of_files]
    # A regular expression must not be empty; no sample can have this name.
    return "|".join(names) or "-"


def file_of(wildcards):
    """Return the entry of the configuration for the file that is saved under this name."""
    files = {file_name(file): file for file in config["samples"][wildcards.sample]["files"] if "url" in file}
    if wildcards.file not in files:
        sys.exit(f"file {wildcards.file} of the sample '{wildcards.sample}': there are {', '.join(files) or 'none'}")
    return files[wildcards.file]


def index_in_file(wildcards):
    """Return the index of the file that contains a block, and the index of the block in this file."""
    block = block_of(wildcards.sample, wildcards.block)
    return divmod(block, config["samples"][wildcards.sample]["blocks_per_file"])


def source_of_block(wildcards):
    """Return the input file of a block."""
    file = config["samples"][wildcards.sample]["files"][index_in_file(wildcards)[0]]
    return own_file(file["path"]) if "path" in file else f"results/download/{wildcards.sample}/{file_name(file)}"


def own_file(path):
    """Return a path of the user that Snakemake compares by content, not by modification time."""
    # The prefix of a module applies to files of the workflow, not to files of the user.
    return ancient(local(path))


def contents(input_function):
    """Return a parameter function: the digests of the user's files among the files of an input function."""

    def digests(wildcards):
        files = input_function(wildcards)
        files = [files] if isinstance(files, str) else files
        return [content_of(Path(path)) for path in files if is_flagged(path, "ancient")]

    return digests


def own_network(wildcards):
    """Return the user's file with the network of an experiment; an empty list for a network of this repository."""
    network = config["experiments"][wildcards.experiment]["network"]
    return [own_file(network["file"])] if "file" in network else []


def start_model(wildcards):
    """Return the user's model file that an experiment starts from; an empty list if it has none."""
    path = config["experiments"][wildcards.experiment]["start_from"]
    return [own_file(path)] if path else []


def trial_of(wildcards):
    """Return the jet table of the warm-up job that runs before this block."""
    block_of(wildcards.sample, wildcards.block)
    return f"results/jets/{wildcards.sample}/trial.parquet"


def background_block(wildcards):
    """Return the block of the background from which the shards of one block are made; negative for the sample's own."""
    dataset = config["datasets"][wildcards.dataset]
    block = int(wildcards.block) - number_of_blocks(config["samples"][dataset["sample"]])
    return block if dataset["background"] else -1


def table_of_shards(wildcards):
    """Return the jet table from which the shards of one block are made."""
    dataset, block = config["datasets"][wildcards.dataset], background_block(wildcards)
    sample, block = (dataset["background"], f"{block:05d}") if block >= 0 else (dataset["sample"], wildcards.block)
    return f"results/jets/{sample}/{block_of(sample, block):05d}.parquet"


def blocks_of_dataset(dataset, limit=None):
    """Return the block numbers of a dataset: the first blocks of its sample, and those of its background."""
    settings = config["datasets"][dataset]
    own = blocks(settings["sample"])
    number = number_of_blocks(config["samples"][settings["background"]]) if settings["background"] else 0
    return own[:limit] + [f"{len(own) + block:05d}" for block in range(number)]


def dataset_of(wildcards):
    """Return the dataset of a rule, from the wildcard `dataset` or from its experiment."""
    return wildcards.get("dataset") or config["experiments"][wildcards.experiment]["dataset"]


def tables(wildcards):
    """Return the jet tables of the dataset of a rule."""
    return jet_tables(config["datasets"][dataset_of(wildcards)]["sample"])


def statistics(wildcards):
    """Return the statistics of the dataset of a rule."""
    return f"results/preprocess/{dataset_of(wildcards)}/statistics.json"


def shards(split):
    """Return an input function: the shards of one split of a rule's dataset.

    "train" is limited to the blocks of the experiment, and has those of the background.
    """

    def paths(wildcards):
        dataset = dataset_of(wildcards)
        number = blocks_of(wildcards.experiment) if "experiment" in wildcards.keys() else wildcards.get("blocks", "all")
        limit = int(number) if split == "train" and number != "all" else None
        block = blocks_of_dataset(dataset, limit) if split == "train" else blocks(config["datasets"][dataset]["sample"])
        return expand("results/shards/{dataset}/{split}/{block}.npz", dataset=dataset, split=split, block=block)

    return paths


def flattened_shards(wildcards):
    """Return the training shards of a dataset without its background, which is not flattened."""
    blocks_of_sample = blocks(config["datasets"][wildcards.dataset]["sample"])
    return expand("results/shards/{dataset}/train/{block}.npz", dataset=wildcards.dataset, block=blocks_of_sample)


def blocks_of(experiment):
    """Return the number of blocks that an experiment is trained on, as in file names: a number or "all"."""
    return str(config["experiments"][experiment]["max_blocks"] or "all")


def files_of_trees(dataset, blocks):
    """Return the files of GBDT predictions for the test jets of a dataset, by kind of GBDT.

    Args:
        dataset: Name of the dataset.
        blocks: Number of training blocks, or "all".
    """
    kinds = ["trees_image", "trees_jet", *(["trees_subjets"] if config["evaluate"]["gbdt_on_subjets"] else [])]
    return {kind: f"results/baselines/{dataset}/{blocks}/{kind}.parquet" for kind in kinds}


def models_of_trees(dataset, blocks):
    """Return the files of the GBDTs themselves, each next to its predictions; the arguments are the same."""
    files = files_of_trees(dataset, blocks)
    return {f"{kind}_model": str(Path(path).with_suffix(".txt")) for kind, path in files.items()}


def trees(wildcards):
    """Return the files of GBDT predictions for the test jets of an experiment, from the same training jets."""
    return [*files_of_trees(dataset_of(wildcards), blocks_of(wildcards.experiment)).values()]


def target_of(wildcards):
    """Return the column of the truth of an experiment."""
    return config["datasets"][dataset_of(wildcards)]["target"]


def generator_of(wildcards):
    """Return the generator settings of a sample; empty for a sample from files."""
    return config["samples"][wildcards.sample].get("simulate", {}).get("generator", {})


def single_mass(wildcards):
    """Return the mass of a sample of a single mass, else None."""
    mass = generator_of(wildcards).get("mass")
    return None if isinstance(mass, list) else mass


def applied_trees(wildcards):
    """Return the GBDTs that are applied to samples, fitted to the training jets of an experiment."""
    models = models_of_trees(dataset_of(wildcards), blocks_of(wildcards.experiment))
    return [path for kind, path in models.items() if kind != "trees_jet_model"]


def to_predict():
    """Return the section `predict` of the configuration; exit with one line if it is empty."""
    if config["predict"] is None:
        example = "predict: { model: fast/1, jets: jets.parquet, layers: [track_pt, ecal, hcal] }"
        sys.exit(f"nothing to predict; to fix: set model and jets in a file given with --configfile, such as {example}")
    return config["predict"]


def model_to_use(wildcards):
    """Return the model of `predict`: one that this workflow trains, or a file of the user."""
    model = to_predict()["model"]
    return f"results/train/{model}/model.safetensors" if is_trained_here(model, config) else own_file(model)


def jets_to_predict(wildcards):
    """Return the files of the jets of `predict`, in their order."""
    files = []
    for entry in to_predict()["jets"]:
        if "sample" in entry:
            files += jet_tables(entry["sample"])
        else:
            files.append(own_file(entry["path"]) if "path" in entry else f"results/download/predict/{file_name(entry)}")
    return files


def calibration_to_use(wildcards):
    """Return a list with the calibration of `predict`; empty if there is none."""
    path = to_predict()["calibration"]
    return [] if path is None else [own_file(expand_variables(path))]


def calibration_predictions(wildcards):
    """Return the predictions for the calibration sample; exit with one line without a sample."""
    sample = config["evaluate"]["calibration_sample"]
    if sample is None:
        sys.exit("nothing to calibrate on; to fix: name a sample in evaluate.calibration_sample")
    return f"results/samples/{wildcards.experiment}/{wildcards.seed}/{sample}.parquet"


def calibrations():
    """Return the calibrations of all networks of the run; empty without a calibration sample."""
    wanted = config["evaluate"]["calibration_sample"] is not None
    return runs("results/calibration/{experiment}/{seed}.json") if wanted else []


def runs(pattern, **more):
    """Return one file per experiment and seed of the run, and per value of the wildcards in `more`."""
    return expand(pattern, experiment=config["run"]["experiments"], seed=config["run"]["seeds"], **more)


def runs_of_samples(pattern):
    """Return one file per experiment and seed of the run, and per sample on which they are evaluated."""
    return runs(pattern, sample=config["evaluate"]["samples"])


def datasets_run():
    """Return the names of the datasets of the experiments of the run."""
    return sorted({config["experiments"][experiment]["dataset"] for experiment in config["run"]["experiments"]})


def samples_run():
    """Return the names of the samples of `datasets_run`, with their backgrounds."""
    of_datasets = [config["datasets"][dataset] for dataset in datasets_run()]
    return sorted({each[key] for each in of_datasets for key in ("sample", "background") if each[key]})


def everything():
    """Return the outputs of all stages before the evaluation, for the experiments and seeds of the run."""
    files = runs("results/train/{experiment}/{seed}/model.safetensors")
    files += runs("results/predict/{experiment}/{seed}/predictions.parquet")
    files += runs_of_samples("results/samples/{experiment}/{seed}/{sample}.parquet")
    files += [table for sample in config["evaluate"]["samples"] for table in jet_tables(sample)]
    files += calibrations()
    for dataset in datasets_run():
        block = blocks_of_dataset(dataset)
        split = ["train", "validation", "test"]
        files += expand("results/shards/{dataset}/{split}/{block}.npz", dataset=dataset, split=split, block=block)
        files.append(f"results/preprocess/{dataset}/statistics.json")
    files += [table for sample in samples_run() for table in jet_tables(sample)]
    files += runs("results/samples/{experiment}/{seed}/{sample}.parquet", sample=samples_of_fit())
    files += [table for sample in samples_of_fit() for table in jet_tables(sample)]
    experiments = {name: config["experiments"][name]["dataset"] for name in config["run"]["experiments"]}
    return files + sorted(
        {path for name, dataset in experiments.items() for path in files_of_trees(dataset, blocks_of(name)).values()}
    )


def samples_of_fit():
    """Return the names of the samples of the fit of the top mass, in the order of the script; empty without a fit."""
    if config["top_mass_fit"] is None:
        return []
    templates, nominal, background, variations = (
        config["top_mass_fit"][role] for role in ("templates", "nominal", "background", "variations")
    )
    return [templates, nominal, *([background] if background else []), *variations]


def predictions_of_fit(wildcards):
    """Return the predictions for all samples of the fit of the top mass; exit with one line if there is no fit."""
    if config["top_mass_fit"] is None:
        sys.exit("no fit of the top mass; to fix: set top_mass_fit, as in studies/top_mass.yaml")
    return expand("results/samples/{experiment}/{seed}/{sample}.parquet", sample=samples_of_fit(), **wildcards)


def settings_of_fit(wildcards):
    """Return the settings of `topmass.evaluation.top_mass_fit.FitSettings`, from several parts of the configuration."""
    fit = config["top_mass_fit"]
    mass = {role: config["samples"][fit[role]]["simulate"]["generator"]["mass"] for role in ("templates", "nominal")}
    return {
        "top_mass": mass["nominal"],
        "mass_range": mass["templates"],
        "span": fit["range"],
        **{key: fit[key] for key in ("bin_width", "jets", "background_fraction", "resamples")},
        "seed": config["evaluate"]["bootstrap"]["seed"],
    }


def if_fit(pattern):
    """Return one file of the fit of the top mass per experiment and seed of the run; empty if there is no fit."""
    return runs(pattern) if config["top_mass_fit"] else []


def figures_of_results(names):
    """Return the figures with these names per experiment and seed, except those that do not apply.

    Containment applies to simulated jets of top quarks only, because files need not contain it. Intervals apply to
    networks with quantiles.
    """

    def applies(name, experiment):
        sample = config["samples"][config["datasets"][experiment["dataset"]]["sample"]]
        has_quarks = "files" not in sample and sample["simulate"]["generator"]["process"] != "qcd"
        return {"containment": has_quarks, "intervals": experiment["recipe"].get("quantiles")}.get(name, True)

    return [
        f"results/figures/{experiment}/{seed}/{name}.png"
        for experiment in config["run"]["experiments"]
        for seed in config["run"]["seeds"]
        for name in names
        if applies(name, config["experiments"][experiment])
    ]


def if_several(path):
    """Return a list with this comparison file; empty if there is only one run."""
    return [path] if len(runs("{experiment}/{seed}")) > 1 else []


def if_curves(path):
    """Return a list with this file of learning curves; empty if no network has different numbers of training blocks."""
    names = config["run"]["experiments"]
    networks = {name: config["experiments"][name]["network"] for name in names}
    identity = {name: (each["name"], each.get("file"), each.get("class")) for name, each in networks.items()}
    points = {(identity[name], blocks_of(name)) for name in names}
    return [path] if len(points) > len({network for network, _ in points}) else []


def figure(path, category, what):
    """Return the files of a figure. Snakemake's report shows the PNG, the first one, with the caption of that name.

    Args:
        path: Path below results/figures/, without suffix.
        category: Category in Snakemake's report.
        what: Label in Snakemake's report.
    """
    labels = {name: f"{{{name}}}" for name in re.findall(r"{(\w+)}", path)} or {"experiment": "all", "seed": "all"}
    png = report(
        f"results/figures/{path}.png",
        caption=f"../report/{Path(path).name}.rst",
        category=category,
        labels={**labels, "what": what},
    )
    return [png, f"results/figures/{path}.pdf", f"results/figures/{path}.csv"]


def print_summary():
    """Print the summaries of all runs with metrics of the current model, and list files from older models."""
    # Characters that the terminal's encoding lacks are printed as escape sequences.
    sys.stdout.reconfigure(errors="backslashreplace")
    summaries, outdated = [], set()
    for run in runs("{experiment}/{seed}"):
        files = [f"results/evaluate/{run}/metrics.json", f"results/train/{run}/MODEL.md", "results/report.html"]
        outdated.update(map(str, outdated_files(Path(f"results/train/{run}/model.safetensors"), map(Path, files))))
        summaries += [] if files[0] in outdated else [f"results/evaluate/{run}/summary.txt"]
    if not outdated:
        summaries += if_several("results/compare/comparison.txt")
    for summary in filter(os.path.exists, summaries):
        text = Path(summary).read_text(encoding="utf-8")
        print(f"\n{text}")
    if outdated:
        print(f"{', '.join(sorted(outdated))}: of an older model; to fix: run again without --until")
    elif Path("results/report.html").exists():
        print("Report with all results: results/report.html; all jobs with their code: results/workflow.html")


def print_advice():
    """Print the advice after an error, common to all stages."""
    print(f"""
The cause is above, in lines with 'error'. Finished files remain: the same command resumes from there.
If a file under results/ is damaged or from other data: remove it, and run the same command again.
If a file has a modification time in the future because a clock was wrong: touch it.
Symptoms, causes, fixes: {os.path.relpath(REPO_ROOT / "docs/troubleshooting.md")}""")


def leave_out_benchmarks():
    """Remove the benchmarks of shared rules: Snakemake rejects them, because cached results have no benchmark."""
    for stage in workflow.rules:
        if SHARED and stage.cache.output:
            # The public attribute cannot be reset, and the directive `benchmark` has no value for none.
            stage._benchmark = None
