"""What all rules share: the checked configuration, lists of files, and a hash of the code behind a script."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(workflow.current_basedir).parent / "scripts"))
from topmass.files import BadInput
from topmass.workflow.baselines import kinds_of_trees
from topmass.workflow.brief import be_brief
from topmass.workflow.card import card_of
from topmass.workflow.code_hash import content_hash, hash_of
from topmass.workflow.configuration import HOUSE, configure
from topmass.workflow.contradictions import SAFE_NAME, file_name, number_of_blocks
from topmass.workflow.facts import differences, experiments_of, inputs_of, packages
from topmass.workflow.predicting import file_of_masses, is_trained_here
from topmass.workflow.reading import Layer, read_arguments, read_file
from topmass.workflow.turns import take_turn

# Whether a group shares what is expensive and always the same: simulate, download, sparsify, shards. See docs/cluster.md.
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ


def check_config(config):
    """Complete the configuration, each value as it is meant; or end with one line on what is wrong with it."""
    try:
        # Only now, and not for each job: a file may be gone once its blocks are there.
        complete = configure(layers(config), look=workflow.is_main_process)
    except BadInput as error:
        # Not as an exception: Snakemake would wrap it into lines of its own code.
        sys.exit(str(error))
    config.clear()
    config.update(complete)


def layers(config):
    """What the user's configuration is made of; read anew, since Snakemake's reader drops a key that is there twice."""
    if Path(workflow.main_snakefile).resolve() != HOUSE / "Snakefile":
        return [Layer("the configuration of the module", config)]
    given = read_arguments(workflow.config_settings.config_args or [])
    return [*map(read_file, workflow.overwrite_configfiles), given]


def names(kind):
    """A pattern of the names of all samples, datasets or experiments of the configuration."""
    return "|".join(config[kind])


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
    return [f"{block:05d}" for block in range(number_of_blocks(config["samples"][sample]))]


def block_of(sample, block):
    """The number of a block that the sample has; ends with one line for a target that is another's."""
    number = number_of_blocks(config["samples"][sample])
    if not int(block) < number or block != f"{int(block):05d}":
        # Only what a user asks for comes here: all that the workflow asks for itself is made from `blocks`.
        sys.exit(f"block {block} of the sample '{sample}': there are {number:,}, 00000 to {number - 1:05d}")
    return int(block)


def samples(of_files):
    """A pattern of the names of all samples of files, or of all others."""
    names = [name for name, settings in config["samples"].items() if ("files" in settings) == of_files]
    # A pattern must match something; no sample has a name like this.
    return "|".join(names) or "-"


def file_of(wildcards):
    """The entry of the configuration for a file that is to be saved by this name."""
    files = [file for file in config["samples"][wildcards.sample]["files"] if "url" in file]
    found = next((file for file in files if file_name(file) == wildcards.file), None)
    if found is None:
        known = ", ".join(map(file_name, files)) or "none"
        sys.exit(f"file {wildcards.file} of the sample '{wildcards.sample}': there are {known}")
    return found


def place_in_file(wildcards):
    """For a block: the number of its file in the sample, and which part of the file it is."""
    block = block_of(wildcards.sample, wildcards.block)
    return divmod(block, config["samples"][wildcards.sample]["blocks_per_file"])


def source_of_block(wildcards):
    """The file that a block comes from."""
    file = config["samples"][wildcards.sample]["files"][place_in_file(wildcards)[0]]
    # A prefix that a module puts before our own files is not for the user's.
    return local(file["path"]) if "path" in file else f"results/download/{wildcards.sample}/{file_name(file)}"


def trial_of(wildcards):
    """The few jets that a sample simulates before this block."""
    block_of(wildcards.sample, wildcards.block)
    return f"results/jets/{wildcards.sample}/trial.parquet"


def table_of_shards(wildcards):
    """The jet table that the shards of one block are made from."""
    sample = config["datasets"][wildcards.dataset]["sample"]
    return f"results/jets/{sample}/{block_of(sample, wildcards.block):05d}.parquet"


def dataset_of(wildcards):
    """A rule's dataset, named directly or by its experiment."""
    return wildcards.get("dataset") or config["experiments"][wildcards.experiment]["dataset"]


def tables(wildcards):
    """The jet tables of a rule's dataset."""
    sample = config["datasets"][dataset_of(wildcards)]["sample"]
    return expand("results/jets/{sample}/{block}.parquet", sample=sample, block=blocks(sample))


def shards(split):
    """Input function: the shards of one split of a rule's dataset; for training, of so many blocks as are asked for."""

    def of(wildcards):
        dataset = dataset_of(wildcards)
        known = blocks(config["datasets"][dataset]["sample"])
        experiment = wildcards.get("experiment")
        number = blocks_of(experiment) if experiment else wildcards.get("blocks", "all")
        if split == "train" and number != "all":
            known = known[: int(number)]
        return expand("results/shards/{dataset}/{split}/{block}.npz", dataset=dataset, split=split, block=known)

    return of


def blocks_of(experiment):
    """How many blocks an experiment is trained on, as it stands in file names: a number, or all."""
    return str(config["experiments"][experiment]["blocks"] or "all")


def statistics(wildcards):
    """The statistics of a rule's dataset."""
    return f"results/preprocess/{dataset_of(wildcards)}/statistics.json"


def to_predict():
    """What the configuration asks `predict` for; ends with one line where it asks for nothing."""
    if config["predict"] is None:
        example = "predict: { model: fast/1, jets: jets.parquet, layers: [track_pt, ecal, hcal] }"
        sys.exit(
            f"nothing to predict: say in a file of yours, given with --configfile, by which model and what: {example}"
        )
    return config["predict"]


def model_to_use(wildcards):
    """The model by which masses are to be predicted, one of ours or the user's own."""
    model = to_predict()["model"]
    return f"results/train/{model}/model.safetensors" if is_trained_here(model, config) else local(model)


def jets_to_predict(wildcards):
    """The files of the jets whose masses are to be predicted, in their order."""
    found = []
    for entry in to_predict()["jets"]:
        if "sample" in entry:
            sample = entry["sample"]
            found += expand("results/jets/{sample}/{block}.parquet", sample=sample, block=blocks(sample))
        else:
            found.append(local(entry["path"]) if "path" in entry else f"results/download/predict/{file_name(entry)}")
    return found


def trees(wildcards):
    """What boosted trees of the same training jets predict for the test jets of an experiment."""
    return trees_of(wildcards.experiment)


def trees_of(experiment):
    """The same, by the name of the experiment."""
    return [*files_of_trees(config["experiments"][experiment]["dataset"], blocks_of(experiment)).values()]


def files_of_trees(dataset, blocks):
    """What each kind of boosted trees, fitted to so many blocks of a dataset, predicts for its test jets."""
    return {kind: f"results/baselines/{dataset}/{blocks}/{kind}.parquet" for kind in kinds_of_trees(config)}


def kept(pattern):
    """A path among the results of a training, wherever a module's prefix has put them, that is no output of its rule."""
    return lambda wildcards, output: str(Path(output.history).parents[3] / pattern.format(**dict(wildcards.items())))


def runs(pattern, **more):
    """One file for each experiment and seed that are to be run, and for each of `more`."""
    return expand(pattern, experiment=config["run"]["experiments"], seed=config["run"]["seeds"], **more)


def simulated(experiment):
    """Whether an experiment's jets are simulated here."""
    dataset = config["experiments"][experiment]["dataset"]
    return "files" not in config["samples"][config["datasets"][dataset]["sample"]]


def gives_intervals(experiment):
    """Whether an experiment's network gives quantiles of the mass."""
    return bool(config["experiments"][experiment]["recipe"].get("quantiles"))


def figures_of_results(names):
    """Figures by these names for each experiment and seed, but for those that need what it lacks.

    Containment is for simulated jets alone, since files need not know it; intervals are for networks that give them.
    """
    needs = {"containment": simulated, "intervals": gives_intervals}
    return [
        f"results/figures/{experiment}/{seed}/{name}.png"
        for experiment in config["run"]["experiments"]
        for seed in config["run"]["seeds"]
        for name in names
        if name not in needs or needs[name](experiment)
    ]


def if_several(path):
    """A file that sets the runs apart, where there are several."""
    return [path] if len(runs("{experiment}/{seed}")) > 1 else []


def if_curves(path):
    """A file that shows errors by the number of jets, where a network is trained on different numbers of blocks."""
    names = config["run"]["experiments"]
    points = {(config["experiments"][name]["network"]["name"], blocks_of(name)) for name in names}
    return [path] if len(points) > len({network for network, _ in points}) else []


def figure(path, category, what):
    """The files of a figure, PNG first; the report shows that with the caption of the same name."""
    labels = {name: f"{{{name}}}" for name in re.findall(r"{(\w+)}", path)} or {"experiment": "all", "seed": "all"}
    shown = report(
        f"results/figures/{path}.png",
        caption=f"../report/{Path(path).name}.rst",
        category=category,
        labels={**labels, "what": what},
    )
    return [shown, f"results/figures/{path}.pdf", f"results/figures/{path}.csv"]


def everything():
    """What all stages make before there are scores, for the runs that are asked for."""
    found = runs("results/train/{experiment}/{seed}/model.safetensors")
    found += runs("results/predict/{experiment}/{seed}/predictions.parquet")
    for dataset in datasets_run():
        sample = config["datasets"][dataset]["sample"]
        found += expand("results/jets/{sample}/{block}.parquet", sample=sample, block=blocks(sample))
        found += expand(
            "results/shards/{dataset}/{split}/{block}.npz",
            dataset=dataset,
            split=["train", "validation", "test"],
            block=blocks(sample),
        )
        found += [f"results/preprocess/{dataset}/statistics.json"]
    return found + sorted({path for experiment in config["run"]["experiments"] for path in trees_of(experiment)})


def datasets_run():
    """Names of the datasets of the experiments that are to be run."""
    return sorted({config["experiments"][experiment]["dataset"] for experiment in config["run"]["experiments"]})


def samples_run():
    """Names of the samples of these datasets."""
    return sorted({config["datasets"][dataset]["sample"] for dataset in datasets_run()})


def print_summary():
    """The short tables of all runs, and where to look."""
    # A terminal that lacks a sign shows another.
    sys.stdout.reconfigure(errors="backslashreplace")
    for summary in [
        *runs("results/evaluate/{experiment}/{seed}/summary.txt"),
        *if_several("results/compare/comparison.txt"),
    ]:
        if Path(summary).exists():
            text = Path(summary).read_text(encoding="utf-8")
            print(f"\n{text}")
    if Path("results/report.html").exists():
        print("Everything in one page: results/report.html; every job and its code: results/workflow.html")


def print_advice():
    """What to do after an error, said once for all stages."""
    print(f"""
What went wrong stands above, in lines with 'error'. What was finished is kept: the same command goes on from there.
A file under results/ that is damaged or of other data: remove it, and the same command makes it anew.
A file that is younger than it can be, by a clock that was wrong: touch it.
Symptoms, causes, remedies: {os.path.relpath(HOUSE / "docs/troubleshooting.md")}""")


def leave_out_benchmarks():
    """Of the rules whose results are shared: Snakemake refuses them there, having none for what it takes from elsewhere."""
    for each in workflow.rules:
        if SHARED and each.cache.output:
            each._benchmark = None
