"""The whole workflow, small, through the `snakemake` command; and which rules run again after which change."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from conftest import REPOSITORY, make_jets
from own_network import write_example
from servers import Fault, web_server
from topmass.io.dense_file import write_dense
from topmass.jets import JetBatch, JetTable, write_jets
from topmass.layers import LAYERS
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.split import SPLITS

pytestmark = pytest.mark.slow
KEPT = shutil.ignore_patterns(".git", ".venv", ".cache", "results", ".snakemake", ".*_cache", "*.part")


def snakemake(
    repository: Path, *arguments: str, folder: Path | None = None, check: bool = True, status: int = 0
) -> str:
    """Run the workflow of a copy of the repository in a folder; return its output. `check` requires the exit status."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", repository / "Snakefile", "--cores", "2"]
    command += ["--configfile", repository / "tests/tiny.yaml", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    completed = subprocess.run(command, cwd=folder or repository, text=True, **pipes)
    assert not check or completed.returncode == status, completed.stdout
    return completed.stdout


def would_run(repository: Path, *arguments: str, folder: Path | None = None) -> dict[str, int]:
    """Rules that a run would execute, each with its number of jobs."""
    said = snakemake(repository, "--dry-run", *arguments, folder=folder)
    if "Nothing to be done" in said:
        return {}
    table = said.rsplit("Job stats:", 1)[1].split("\n\n")[0]
    return {
        rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.M) if rule not in ("all", "total")
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of the repository, with the workflow run in it once."""
    repository = tmp_path_factory.mktemp("clone") / "topmass"
    shutil.copytree(REPOSITORY, repository, ignore=KEPT)
    said = snakemake(repository)
    assert "best constant for MAE" in said and "results/report.html" in said
    return repository


def outputs(folder: Path) -> dict[str, bytes]:
    """Everything that does not tell the time: tables, shards, models, metrics, figures."""
    kinds = (".parquet", ".npz", ".safetensors", ".json", ".png", ".pdf", ".txt")
    results = folder / "results"
    return {
        str(path.relative_to(results)): path.read_bytes() for path in sorted(results.rglob("*")) if path.suffix in kinds
    }


def copy_results(repository: Path, folder: Path) -> Path:
    """A copy of the results with the times of its files, in a folder without `.snakemake`."""
    shutil.copytree(repository / "results", folder / "results")
    return folder


def record_of(results: Path, output: str) -> Path:
    """The file in which Snakemake records how an output was made."""
    return results / "metadata" / urlsafe_b64encode(f"results/{output}".encode()).decode()


FIGURE_FILES = (
    *("gun/average_images", "gun/single_jets", "flat/masses"),
    "flat/layer_values",
    *(f"tiny/1/{name}" for name in ("loss", "errors", "predicted", "spectrum", "median_error", "response")),
    *(f"tiny/1/{name}" for name in ("mean_errors", "resolution_map", "containment", "largest_errors")),
)


def test_everything_is_there(repository):
    expected = {
        *(f"jets/gun/{block:05d}.parquet" for block in range(3)),
        "preprocess/flat/statistics.json",
        *(f"shards/flat/{split}/{block:05d}.npz" for split in ("train", "validation", "test") for block in range(3)),
        *(f"train/tiny/1/{name}" for name in ("model.safetensors", "last.safetensors")),
        "predict/tiny/1/predictions.parquet",
        *(f"baselines/flat/all/{name}.{kind}" for name in ("trees_image", "trees_jet") for kind in ("parquet", "txt")),
        *(f"evaluate/tiny/1/{name}" for name in ("metrics.json", "summary.txt")),
        *(f"figures/{name}.{kind}" for kind in ("png", "pdf") for name in FIGURE_FILES),
    }
    assert expected <= set(outputs(repository))
    assert all((repository / f"results/figures/{name}.csv").stat().st_size for name in FIGURE_FILES)
    assert (repository / "results/train/tiny/1/history.csv").read_text().count("\n") == 3
    assert not list((repository / "results").rglob("*.part*"))


def test_the_report_holds_every_figure(repository):
    page = (repository / "results/report.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') == len(FIGURE_FILES) == page.count(">PDF</a>")
    places = [place for place in re.findall(r'(?:src|href)="(.*?)"', page) if not place.startswith(("data:", "#"))]
    assert "workflow.html" in places and all((repository / "results" / place).exists() for place in places)
    # The page shows captions as they stand: signs of the markup that Snakemake's report reads would be seen.
    assert "\\" not in page
    for told in (
        "experiments.tiny.recipe.batch_size",
        "300 jets simulated with seed 1",
        "pythia8mc",
        "figure_predictions",
    ):
        assert told in page


def test_snakemakes_own_report_holds_every_figure_too(repository):
    page = (repository / "results/workflow.html").read_text(encoding="utf-8")
    assert all(f"{Path(name).name}.png" in page for name in FIGURE_FILES) and "summary.txt" in page


def test_snakemakes_own_report_is_written_for_a_configuration_with_predictions(repository):
    page = "results/workflow.html"
    snakemake(repository, "--config", "predict={model: tiny/1, jets: gun}", "--force", "--", page)
    assert (repository / page).stat().st_size > 100_000


def test_a_network_is_exported(repository):
    snakemake(repository, "--", "export")
    made = repository / "results/export/tiny/1"
    parity = json.loads((made / "parity.json").read_text())
    largest = {name: max(found.values()) for name, found in parity["largest_difference"].items()}
    assert set(largest) == {"model.onnx", "model_sparse.onnx"} and max(largest.values()) < parity["tolerance"]
    # What is not asked for is not there in other tests.
    shutil.rmtree(made.parents[1])


def compare(here: Path, there: Path, folders: tuple[str, ...] = ("",)) -> None:
    """Hold that two runs are the same: the metrics to rounding, all that no training has touched to the byte.

    Training with several threads has repeated itself to the last bit in all but one of some forty runs.
    """
    first, second = (
        {name: content for name, content in outputs(run).items() if name.startswith(folders)} for run in (here, there)
    )
    assert first.keys() == second.keys()
    untouched = [name for name in first if "/tiny/" not in f"/{name}"]
    assert untouched and [name for name in untouched if first[name] != second[name]] == []
    (metrics,) = (name for name in first if name.endswith("metrics.json"))
    numbers = [np.array(re.findall(rb"-?\d+\.\d+", each[metrics])).astype(float) for each in (first, second)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4)


def test_a_second_run_elsewhere_gives_the_same(repository, tmp_path):
    snakemake(repository, "--directory", str(tmp_path), folder=tmp_path)
    compare(repository, tmp_path)


PAGES = {"report", "workflow_report"}
OF_METRICS = {"figure_predictions", "figure_metrics", "figure_containment", "model_card"}
OF_SAMPLES = {"predict_sample", "evaluate_sample", "figure_sample"}
LAST = {"predict_test", "evaluate", "figure_largest_errors"} | OF_METRICS | PAGES
AFTER_TREES = {"train_gbdt", "evaluate"} | OF_METRICS | PAGES
TRAINING = {"train", "figure_history"} | LAST
AFTER_STATISTICS = {"make_shards", "train_gbdt", "figure_masses", "figure_layers"} | TRAINING
ALL = {"trial", "simulate", "figure_images", "compute_statistics"} | AFTER_STATISTICS
FIGURES = {rule for rule in ALL if rule.startswith("figure_")}


def append(path: str, line: str = "# a comment\n"):
    """A change that adds a line to a file."""
    return lambda repository: (repository / path).write_text((repository / path).read_text() + line)


def touch(*paths: str):
    """A change of times alone."""
    return lambda repository: [os.utime(repository / path) for path in paths]


def configure(**changes):
    """A change of the configuration, given by keys with two underscores for a step."""

    def apply(repository: Path) -> None:
        path = repository / "tests/tiny.yaml"
        config = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            *steps, last = key.split("__")
            at = config
            for step in steps:
                at = at.setdefault(step, {})
            at[last] = value
        path.write_text(yaml.safe_dump(config, sort_keys=False))

    return apply


LIBRARY = "workflow/scripts/topmass"
CHANGES = {
    "nothing": (lambda repository: None, set()),
    "touch of scripts": (touch("workflow/scripts/simulate.py", "workflow/scripts/train.py"), set()),
    "touch of a library module": (touch(f"{LIBRARY}/files.py", f"{LIBRARY}/jets.py"), set()),
    "touch of the configuration": (touch("config.yaml", "tests/tiny.yaml"), set()),
    "a comment in the configuration": (append("config.yaml"), set()),
    "more jets": (configure(samples__gun__jets=400), {"simulate", "compute_statistics"} | AFTER_STATISTICS),
    "quantiles beside the mass": (
        configure(experiments__tiny__recipe__quantiles=[0.16, 0.5, 0.84]),
        TRAINING | {"figure_intervals"},
    ),
    "another seed of the simulation": (configure(samples__gun__seed=2), ALL),
    "another detector": (configure(samples__gun__simulate={"detector": {"magnetic_field": 2.0}}), ALL),
    "another zero suppression": (configure(datasets__flat__zero_suppression=1.0e-3), AFTER_STATISTICS),
    "other layers": (configure(datasets__flat__layers=["ecal", "hcal"]), {"compute_statistics"} | AFTER_STATISTICS),
    "another learning rate": (configure(experiments__tiny__recipe__learning_rate=0.002), TRAINING),
    "another place and pace of the training": (configure(compute__memory=1, compute__checkpoint_minutes=1), set()),
    "another precision": (configure(compute__precision="bfloat16"), TRAINING),
    "other mass bins": (configure(evaluate__mass_bins=[85, 200, 500]), {"evaluate"} | OF_METRICS | PAGES),
    "another pT edge": (configure(evaluate__pt_bins=[400, 500, 1200]), {"evaluate"} | OF_METRICS | PAGES),
    "trees on subjets": (configure(evaluate__gbdt_on_subjets=True), AFTER_TREES),
    "another sample to evaluate on": (
        configure(samples__other={"extends": "gun", "seed": 2}, evaluate__samples=["other"]),
        {"trial", "simulate"} | OF_SAMPLES | PAGES,
    ),
    "a fit of the top mass": (
        configure(
            samples__wide={"extends": "ttbar", "simulate": {"generator": {"mass": [150, 195]}}},
            top_mass_fit={"templates": "wide", "nominal": "ttbar_172", "background": "qcd"},
        ),
        {"trial", "simulate", "predict_sample", "top_mass_fit", "figure_top_mass_fit"} | PAGES,
    ),
    "another seed beside the first": (
        configure(run__seeds=[1, 2]),
        TRAINING | {"compare", "figure_comparison"},
    ),
    "another figure colour": (configure(figures__colours=5 * ["#000000"]), FIGURES | PAGES),
    "another slope of the falling spectrum": (configure(figures__falling_slope=70), {"figure_predictions"} | PAGES),
    "another caption": (append("workflow/report/loss.rst", "More.\n"), PAGES),
    "another look of the page": (append("workflow/report/page.css", "\n"), {"report"}),
    "another package of a stage": (append("envs/evaluate.yaml", "      - another==1.0\n"), {"report"}),
    "a module that only the page uses": (append(f"{LIBRARY}/report/cost_table.py"), {"report"}),
    "a module that only drawing uses": (append(f"{LIBRARY}/plotting/style.py"), FIGURES | PAGES),
    "a module that only training uses": (append(f"{LIBRARY}/training/trainer.py"), TRAINING),
    "a module that only trees use": (append(f"{LIBRARY}/training/gbdt.py"), AFTER_TREES),
    "what is known of jets": (append(f"{LIBRARY}/features/image_moments.py"), AFTER_TREES | TRAINING),
    "fewer blocks to train on": (configure(experiments__tiny__max_blocks=2), AFTER_TREES | TRAINING),
    "a module that only the simulation uses": (append(f"{LIBRARY}/simulation/helix.py"), ALL),
    "a module that only jets from files need": (append(f"{LIBRARY}/io/parquet_input.py"), set()),
    "a module that all use": (append(f"{LIBRARY}/files.py"), ALL),
}


KINDS = (".py", ".yaml", ".rst", ".css")


@pytest.mark.parametrize(("change", "rules"), CHANGES.values(), ids=CHANGES)
def test_what_changed_runs_again_and_nothing_else(change, rules, repository, tmp_path):
    files = [path for path in repository.rglob("*") if path.suffix in KINDS and "results" not in path.parts]
    before = {path: path.read_bytes() for path in files if ".snakemake" not in path.parts}
    try:
        change(repository)
        found = would_run(repository)
    finally:
        for path, content in before.items():
            if path.read_bytes() != content:
                path.write_bytes(content)
    assert set(found) == rules
    if "another seed beside" in os.environ["PYTEST_CURRENT_TEST"]:
        assert found["train"] == found["predict_test"] == found["evaluate"] == 1
    if "more jets" in os.environ["PYTEST_CURRENT_TEST"]:
        assert found["simulate"] == 1 and found["make_shards"] == 4


def test_trees_on_subjets_stand_beside_the_others_and_change_nothing_of_them(repository, tmp_path):
    shutil.copytree(repository / "results", tmp_path / "results")
    shutil.copytree(repository / ".snakemake", tmp_path / ".snakemake")
    here, there = ("--directory", str(tmp_path)), repository / "results/baselines/flat/all"
    snakemake(repository, *here, "--config", "evaluate={gbdt_on_subjets: true}", folder=tmp_path)
    found = {path.name: path.read_bytes() for path in (tmp_path / "results/baselines/flat/all").iterdir()}
    assert (
        found.pop("trees_subjets.parquet")
        and found.pop("trees_subjets.txt")
        and found == {path.name: path.read_bytes() for path in there.iterdir()}
    )
    for name in ("evaluate/tiny/1/summary.txt", "train/tiny/1/MODEL.md", "report.html"):
        told = (tmp_path / "results" / name).read_text(encoding="utf-8")
        assert "GBDT, subjet features" in told, name
    # Without them nothing is fitted again.
    assert set(would_run(repository, *here, folder=tmp_path)) == {"evaluate"} | OF_METRICS | PAGES


def test_the_networks_of_a_run_are_evaluated_on_other_samples_without_training(repository, tmp_path):
    copy_results(repository, tmp_path)
    here, made = ("--directory", str(tmp_path)), tmp_path / "results/samples/tiny/1"
    samples = "samples={other: {extends: gun, seed: 2}, beside: {extends: other, seed: 3, jets: 100}}"

    def chosen(*names: str) -> tuple[str, ...]:
        return (*here, "--config", samples, f"evaluate={{samples: [{', '.join(names)}]}}")

    said = snakemake(repository, *chosen("other"), folder=tmp_path)
    assert "Rule: train)" not in said and "best constant for MAE" in said
    table = pq.read_table(made / "other.parquet")
    assert len(table) == 300 and {"mass", "weight", "predicted", "gbdt"} < set(table.column_names)
    assert json.loads((made / "other.json").read_text())["kind"] == "masses"
    assert (tmp_path / "results/figures/tiny/1/other/estimates.pdf").exists()
    page = (tmp_path / "results/report.html").read_text(encoding="utf-8")
    assert "<h3>other: masses</h3>" in page and page.count("<img src") == len(FIGURE_FILES) + 1
    more = would_run(repository, *chosen("other", "beside"), folder=tmp_path)
    assert set(more) == {"trial", "simulate"} | OF_SAMPLES | PAGES and more["predict_sample"] == more["simulate"] == 1
    subjets = (*chosen("other")[:-1], "evaluate={samples: [other], gbdt_on_subjets: true}")
    assert set(would_run(repository, *subjets, folder=tmp_path)) == AFTER_TREES | OF_SAMPLES
    bins = (*chosen("other")[:-1], "evaluate={samples: [other], pt_bins: [400, 500, 1200]}")
    assert set(would_run(repository, *bins, folder=tmp_path)) == (
        {"evaluate", "evaluate_sample", "figure_sample"} | OF_METRICS | PAGES
    )
    assert set(would_run(repository, *here, folder=tmp_path)) == PAGES


def test_a_background_adds_training_jets_and_leaves_statistics_and_test_jets(repository, tmp_path):
    copy_results(repository, tmp_path)
    qcd = "{extends: gun, seed: 2, jets: 40, jets_per_block: 40, simulate: {generator: {process: qcd, mass: null}}}"
    mine = f"samples={{qcd_jets: {qcd}}}", "datasets={flat: {background: qcd_jets}}"
    here = ("--directory", str(tmp_path), "--config", *mine)
    runs = would_run(repository, *here, folder=tmp_path)
    assert runs["make_shards"] == runs["simulate"] == runs["trial"] == 1 and "compute_statistics" not in runs
    assert {"train", "train_gbdt"} < set(runs)
    snakemake(repository, *here, folder=tmp_path)
    shards = {split: Shard.load(tmp_path / f"results/shards/flat/{split}/00003.npz") for split in SPLITS}
    assert len(shards["train"]) > 30 and len(shards["validation"]) == len(shards["test"]) == 0
    page = (tmp_path / "results/report.html").read_text(encoding="utf-8")
    assert "40 jets simulated with seed 2" in page


def test_an_edited_network_or_another_start_repeats_its_training_and_no_other(repository, tmp_path):
    shutil.copytree(repository / "results", tmp_path / "results")
    shutil.copytree(repository / ".snakemake", tmp_path / ".snakemake")
    network = json.dumps(write_example(tmp_path) | {"file": "my_net.py"})
    file, start = tmp_path / "my_net.py", tmp_path / "start.safetensors"
    shutil.copy(repository / "results/train/tiny/1/model.safetensors", start)
    mine = f"experiments={{mine: {{extends: tiny, network: {network}}}, on: {{extends: tiny, start_from: {start}}}}}"
    here = ("--directory", str(tmp_path), "--config", mine, "run={experiments: [tiny, mine, on]}")
    snakemake(repository, *here, folder=tmp_path)
    assert (tmp_path / "results/train/mine/1/network.py").exists()
    assert "DeepSets" in (tmp_path / "results/report.html").read_text(encoding="utf-8")
    for path in (file, start):
        path.touch()
    assert would_run(repository, *here, folder=tmp_path) == {}
    for path, others in ((file, ("tiny", "on")), (start, ("tiny", "mine"))):
        content = path.read_bytes()
        path.write_bytes(content + b"# edited\n")
        found = would_run(repository, *here, folder=tmp_path)
        assert found["train"] == found["predict_test"] == 1 and not {"simulate", "make_shards"} & {*found}
        models = [f"results/train/{name}/1/model.safetensors" for name in others]
        assert would_run(repository, *here, "--", *models, folder=tmp_path) == {}
        path.write_bytes(content)
    file.unlink()
    assert "my_net.py (in " in snakemake(repository, *here, folder=tmp_path, status=1)


# In a folder with finished results Snakemake passes over what cannot be made, wherever the output is there.
NOT_TO_BE_MADE = {
    "a layer that does not exist": (
        "datasets: {flat: {layers: [ecal, muon]}}",
        "datasets.flat.layers.1: 'muon' is not",
    ),
    "a file that does not exist": (
        "samples: {mine: {files: [path: /nowhere/jets.parquet]}}\ndatasets: {flat: {sample: mine}}",
        "samples.mine.files.0.path: /nowhere/jets.parquet: no such file",
    ),
    "a number of jets that is none": ("samples: {gun: {jets: 400.5}}", "samples.gun.jets: 400.5 is not of type"),
    "a key twice": ("run: {seeds: [1]}\nrun: {seeds: [1]}", "the key 'run' is there twice, in lines 1 and 2"),
}
NO_TARGETS = {
    "a block that the sample does not have": ("jets/gun/00003.parquet", "block 00003 of the sample 'gun': there are 3"),
    "a block under another name": ("shards/flat/test/002.npz", "block 002 of the sample 'gun': there are 3, 00000 to"),
    "a file that the sample does not have": ("download/open_data/old.xml", "file old.xml of the sample 'open_data'"),
    "a fit that is not configured": ("top_mass_fit/tiny/1.json", "no fit of the top mass; to fix: set top_mass_fit"),
    "an experiment of before": ("train/old/1/model.safetensors", "No rule to produce results/train/old"),
    "a seed under another name": ("evaluate/tiny/01/metrics.json", "No rule to produce results/evaluate/tiny/01"),
}


@pytest.mark.parametrize(("text", "message"), NOT_TO_BE_MADE.values(), ids=NOT_TO_BE_MADE)
def test_old_results_do_not_pass_for_those_of_a_configuration_that_cannot_be_made(text, message, repository, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text + "\n")
    files = ("--configfile", str(repository / "tests/tiny.yaml"), str(wrong))
    said = snakemake(repository, *files, status=1)
    assert f"{wrong}: {message}" in said and "Traceback" not in said and "Nothing to be done" not in said


@pytest.mark.parametrize(("target", "message"), NO_TARGETS.values(), ids=NO_TARGETS)
def test_an_old_file_does_not_pass_for_a_target_that_the_configuration_does_not_have(target, message, repository):
    old = repository / "results" / target
    old.parent.mkdir(parents=True, exist_ok=True)
    record = record_of(repository / "results", target)
    old.touch()
    record.write_text("{}")
    try:
        said = snakemake(repository, "--", f"results/{target}", status=1)
    finally:
        old.unlink()
        record.unlink()
    assert message in said and "Traceback" not in said


def test_results_copied_without_snakemakes_folder_are_compared_with_the_configuration(repository, tmp_path):
    here = ("--directory", str(copy_results(repository, tmp_path)))
    assert would_run(repository, *here, folder=tmp_path) == {}
    more = "experiments={tiny: {recipe: {learning_rate: 0.05, epochs: 1}}}"
    assert set(would_run(repository, *here, "--config", more, folder=tmp_path)) == TRAINING
    assert set(would_run(repository, *here, "--config", "samples={gun: {jets: 200}}", folder=tmp_path)) == (
        {"compute_statistics"} | AFTER_STATISTICS
    )


def test_linked_results_are_compared_with_the_configuration(repository, tmp_path):
    (tmp_path / "results").symlink_to(copy_results(repository, tmp_path / "elsewhere") / "results")
    more = ("--directory", str(tmp_path), "--config", "experiments={tiny: {recipe: {learning_rate: 0.05}}}")
    assert set(would_run(repository, *more, folder=tmp_path)) == TRAINING


def test_results_without_a_record_of_their_settings_are_refused_and_can_be_accepted(repository, tmp_path):
    here = ("--directory", str(copy_results(repository, tmp_path)))
    record_of(tmp_path / "results", "train/tiny/1/model.safetensors").unlink()
    said = snakemake(repository, *here, folder=tmp_path, status=1)
    assert "results/train/tiny/1/model.safetensors: no record of its settings" in said and "Traceback" not in said
    snakemake(repository, *here, "--touch", "--forceall", folder=tmp_path)
    assert would_run(repository, *here, folder=tmp_path) == {}


def test_records_that_snakemake_wrote_before_move_to_the_results(repository, tmp_path):
    copy_results(repository, tmp_path)
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / "results/metadata").rename(tmp_path / ".snakemake/metadata")
    assert would_run(repository, "--directory", str(tmp_path), folder=tmp_path) == {}
    assert record_of(tmp_path / "results", "train/tiny/1/model.safetensors").exists()


def test_a_link_of_the_results_to_nothing_is_named(repository, tmp_path):
    (tmp_path / "results").symlink_to("/nowhere/results")
    said = snakemake(repository, "--directory", str(tmp_path), "--dry-run", folder=tmp_path, status=1)
    assert "results: a link to /nowhere/results, which does not exist: make that folder" in said
    assert "Traceback" not in said


def test_a_summary_shows_no_scores_of_an_older_model(repository, tmp_path):
    here = ("--directory", str(copy_results(repository, tmp_path)))
    more = ("--config", "experiments={tiny: {recipe: {learning_rate: 0.05}}}", "--until", "train")
    said = snakemake(repository, *here, *more, folder=tmp_path)
    assert "best constant for MAE" not in said and "Report with all results" not in said
    old = ("results/evaluate/tiny/1/metrics.json", "results/report.html", "results/train/tiny/1/MODEL.md")
    assert f"{', '.join(old)}: of an older model" in said


def test_the_report_states_the_settings_that_the_results_were_made_with(repository, tmp_path):
    here = ("--directory", str(copy_results(repository, tmp_path)))
    more = ("--config", "experiments={tiny: {recipe: {learning_rate: 0.05}}}")
    snakemake(repository, *here, *more, "--rerun-triggers", "mtime", "--forcerun", "report", folder=tmp_path)
    page = (tmp_path / "results/report.html").read_text(encoding="utf-8")
    assert re.search(r"experiments\.tiny\.recipe\.learning_rate</th>.*>0\.001</td>", page)
    settings = json.loads((tmp_path / "results/train/tiny/1/training.json").read_text())["config"]
    assert settings["experiments"]["tiny"]["recipe"]["learning_rate"] == 0.001


GONE = (
    *("jets/gun/00001.parquet", "preprocess/flat/statistics.json", "shards/flat/train/00000.npz"),
    *("train/tiny/1/model.safetensors", "predict/tiny/1/predictions.parquet", "evaluate/tiny/1/metrics.json"),
)


def test_what_a_failed_job_has_lost_is_made_again_though_the_page_is_there(repository):
    for name in GONE:
        file = repository / "results" / name
        file.rename(file.with_name("gone"))
        found = would_run(repository)
        file.with_name("gone").rename(file)
        assert {"report"} < set(found), name


def test_a_copy_of_the_folder_is_as_good_as_the_folder(repository, tmp_path):
    subprocess.run(["cp", "-r", repository, tmp_path / "copy"], check=True)
    assert would_run(tmp_path / "copy") == {}


def test_a_run_prints_finished_jobs_and_the_log_has_all_messages(repository):
    said = snakemake(repository, "--forcerun", "figure_history", "--until", "figure_history")
    assert re.search(r"Finished jobid: \d+ \(Rule: figure_history\)\n1 of \d+ steps", said)
    assert "figure_history: 2 epochs" in said
    assert not re.search("Select jobs|Execute|    input:|Building DAG", said)
    log = max((repository / ".snakemake/log").glob("*.log"), key=os.path.getmtime).read_text(encoding="utf-8")
    assert "Select jobs" in log and "    input:" in log


def test_a_run_needs_no_room_in_the_temporary_folder(repository, small_disk, monkeypatch):
    with (small_disk / "full").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))
    monkeypatch.setenv("TMPDIR", str(small_disk))
    said = snakemake(repository, "--forcerun", "model_card", "--until", "model_card")
    assert "(Rule: model_card)" in said


def test_texts_are_utf8_whatever_the_locale(repository, monkeypatch):
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    said = snakemake(repository, "--forcerun", "evaluate", "--until", "evaluate")
    assert "best constant for MAE" in said


@pytest.fixture(scope="module")
def jets() -> JetBatch:
    return make_jets(300)


def overlay(folder: Path, files: list[dict], **more) -> str:
    """A configuration of the tiny experiment on jets of these files."""
    layers = [layer.name for layer in LAYERS]
    sample = {"files": files, "layers": layers, "blocks_per_file": 2, **more}
    config = {"samples": {"mine": sample}, "datasets": {"flat": {"sample": "mine"}}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    return str(folder / "mine.yaml")


def run_mine(repository: Path, folder: Path, mine: str, *arguments: str, check: bool = True) -> str:
    """Run the workflow in this folder, with an overlay on the tiny configuration."""
    files = ("--configfile", str(repository / "tests/tiny.yaml"), mine)
    return snakemake(repository, "--directory", str(folder), *files, *arguments, folder=folder, check=check)


def test_from_two_urls_to_figures(repository, jets, tmp_path):
    halves = []
    for i in range(2):
        write_dense(tmp_path / "served", jets.take(np.arange(150 * i, 150 * (i + 1))))
        halves.append((tmp_path / "served").read_bytes())
    with web_server(halves[0]) as first, web_server(halves[1], faults=[Fault(cut=len(halves[1]) // 2)]) as second:
        checksum = f"sha256:{hashlib.sha256(halves[0]).hexdigest()}"
        files = [{"url": f"{first.url}?token=hidden", "name": "first.parquet", "checksum": checksum}]
        files.append({"url": second.url, "name": "second.parquet"})
        mine = overlay(tmp_path, files)
        said = run_mine(repository, tmp_path, mine)
        assert "best constant for MAE" in said and "retrying in" in said
        for page in ("report", "workflow"):
            assert "token=hidden" not in (tmp_path / f"results/{page}.html").read_text(encoding="utf-8"), page
        assert (tmp_path / "results/figures/tiny/1/predicted.png").exists()
        # Files need not know of quarks.
        assert not (tmp_path / "results/figures/tiny/1/containment.png").exists()
        assert (tmp_path / "results/download/mine/second.parquet.sha256").exists()
        assert len(first.gets) == 1 and [asked.range is None for asked in second.gets] == [True, False]
        assert "Nothing to be done" in run_mine(repository, tmp_path, mine)
        # What is there and right is not fetched again, even if the rule runs.
        run_mine(repository, tmp_path, mine, "--forcerun", "download", "--until", "download")
        assert len(first.gets) == 1 and len(second.gets) == 2
        # Another treatment of what has been downloaded does not ask for it again.
        other = overlay(tmp_path, files, on_invalid="drop")
        tiny = ("--configfile", str(repository / "tests/tiny.yaml"), other)
        again = would_run(repository, "--directory", str(tmp_path), *tiny, folder=tmp_path)
        changed = {"convert", "figure_images", "compute_statistics"} | AFTER_STATISTICS - {"figure_containment"}
        assert set(again) == changed and again["convert"] == 4
        blocks = [
            JetTable(tmp_path / f"results/jets/mine/{block:05d}.parquet").about["source"]["rows"] for block in range(4)
        ]
        assert blocks == [[0, 75], [75, 150]] * 2


def test_own_sparse_jets_on_this_disk_are_read_where_they_lie(repository, jets, tmp_path):
    write_jets(tmp_path / "own.parquet", [jets], LAYERS, {})
    run_mine(repository, tmp_path, overlay(tmp_path, [{"path": "own.parquet"}], layers=[]))
    assert (tmp_path / "results/report.html").exists() and not (tmp_path / "results/download").exists()


def test_a_wrong_checksum_and_a_bad_file_stop_what_needs_them_and_nothing_else(repository, jets, tmp_path):
    write_dense(tmp_path / "good.parquet", jets.take(np.arange(20)))
    (tmp_path / "short.parquet").write_bytes((tmp_path / "good.parquet").read_bytes()[:-20])
    with web_server((tmp_path / "good.parquet").read_bytes()) as web:
        wrong = {"url": web.url, "name": "wrong.parquet", "checksum": "md5:" + 32 * "0"}
        files = [wrong, {"path": "short.parquet"}, {"path": "good.parquet"}]
        said = run_mine(repository, tmp_path, overlay(tmp_path, files, blocks_per_file=1), check=False)
    assert f"expected md5:{32 * '0'}; the download is in results/download/mine/wrong.parquet.wrong" in said
    assert "short.parquet: not a complete parquet file" in said and "Traceback" not in said
    assert [path.name for path in (tmp_path / "results/jets/mine").iterdir()] == ["00002.parquet"]


def test_a_damaged_table_stops_its_rule_with_one_line_and_leaves_no_shard(repository, tmp_path):
    shutil.copytree(repository / "results", tmp_path / "results")
    shutil.copytree(repository / ".snakemake", tmp_path / ".snakemake")
    table = tmp_path / "results/jets/gun/00001.parquet"
    table.write_bytes(table.read_bytes()[:-50])
    shutil.rmtree(tmp_path / "results/shards")
    said = snakemake(repository, "--directory", str(tmp_path), "--rerun-triggers", "input", check=False)
    assert "results/jets/gun/00001.parquet: not a complete parquet file" in said and "Traceback" not in said
    assert "Error in rule compute_statistics:" in said and "log: results/log/compute_statistics/flat.log" in said
    advice = re.search(r"fixes: (\S+)", said)[1]
    assert (tmp_path / advice).resolve() == repository / "docs/troubleshooting.md"
    assert not list((tmp_path / "results/shards").rglob("00001.npz"))


def test_the_content_of_a_users_file_decides_what_runs_again(repository, jets, tmp_path):
    own = tmp_path / "own.parquet"
    write_jets(own, [jets], LAYERS, {})
    mine, table = overlay(tmp_path, [{"path": "own.parquet"}], layers=[]), "results/jets/mine/00000.parquet"
    given = ("--directory", str(tmp_path), "--configfile", str(repository / "tests/tiny.yaml"), mine, "--", table)
    run_mine(repository, tmp_path, mine, "--", table)
    shutil.copy(own, tmp_path / "copy.parquet")
    (tmp_path / "copy.parquet").replace(own)
    assert would_run(repository, *given, folder=tmp_path) == {}
    write_jets(own, [make_jets(300, seed=1)], LAYERS, {})
    os.utime(own, (1e9, 1e9))
    assert would_run(repository, *given, folder=tmp_path) == {"convert": 1}
