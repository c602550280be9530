"""Every command of the documentation: run at a small size, or listed with the reason why not."""

import filecmp
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from conftest import REPOSITORY, make_jets
from topmass.io.dense_file import write_dense
from topmass.jets import JetTable, concat_jets

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(REPOSITORY.glob("docs/**/*.md"))]
OURS = re.compile(r"(make|snakemake|topmass|python|pip|apptainer|\.ci/run|\.venv/bin/\w+)( |$)")
"""How a command within a sentence begins; the name of a program alone is no command, apart from `.ci/run`."""
RUN, DRY = "run in a copy of the repository", "run there with --dry-run"
CLUSTER = "needs a cluster: tests/test_slurm.py runs a small workflow through one"
CPP = "needs headers of onnxruntime: tests/test_cpp.py builds the program and compares its masses with Python's"
CONDA = "installs from conda-forge: tests/test_conda.py runs each stage in an environment of its own"
INSTALLS = "installs into the environment of the tests: the tests below install into another"
CALIBRATION = "needs a second sample: tests/test_calibrate.py runs the stage"
ROOT = "needs a ROOT file with candidates: tests/test_models.py runs it on one of CMS"
COMMAND = "the tests below run it after `pip install -e .`"
TABLE = {
    "README.md": {
        "git clone <repository URL> topmass && cd topmass": "a placeholder: the tests work in a copy",
        "source .venv/bin/activate": RUN,
        "snakemake --configfile mine.yaml --dry-run": RUN,
        "snakemake --configfile mine.yaml": RUN,
        "pip install -e .": INSTALLS,
        "topmass predict results/train/fast/1/model.safetensors jets.parquet masses.parquet": COMMAND,
        "snakemake export": RUN,
        ".ci/run": "runs these tests",
    },
    "CONTRIBUTING.md": {".ci/run": "runs these tests", "snakemake --config 'run={experiments: [real]}'": DRY},
    "docs/benchmarks.md": {
        "snakemake --configfile studies/gpu.yaml": DRY,
        "python -m benchmarks.training --no-compile": "some minutes: tests/test_benchmarks.py runs it at a small size",
        "python -m benchmarks.busy": "some minutes: measures each environment in a process of its own",
        "snakemake --lint": RUN,
        ".ci/run": "runs these tests",
    },
    "docs/cluster.md": {
        "python3 -m pip download --only-binary pythia8mc -r envs/requirements.txt --dest wheels": (
            "some gigabytes from a package index"
        ),
        'PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/wheels" make run': "packages from the wheels of the line before",
        "git clone <repository URL> topmass && cd topmass": "a placeholder: the tests work in a copy",
        "source .venv/bin/activate": RUN,
        "cp -r profiles/slurm profiles/mylab": RUN,
        "grep -n SITE profiles/mylab/config.v9+.yaml": RUN,
        "snakemake --workflow-profile profiles/mylab --configfile tests/tiny.yaml site.yaml --dry-run": RUN,
        "snakemake --workflow-profile profiles/mylab --configfile tests/tiny.yaml site.yaml --directory small": CLUSTER,
        "tmux new -s topmass": "needs a terminal",
        "python workflow/start.py --workflow-profile profiles/mylab --configfile mine.yaml site.yaml": DRY,
        "snakemake --snakefile ~/topmass/Snakefile --directory /scratch/$USER/topmass --workflow-profile "
        "~/topmass/profiles/mylab": DRY,
        "mkdir -p /scratch/$USER/results && ln -s /scratch/$USER/results results": RUN,
        "export SNAKEMAKE_OUTPUT_CACHE=/shared/topmass-cache": RUN,
        "snakemake --cache --workflow-profile profiles/mylab": DRY,
        "apptainer exec --nv topmass.sif snakemake --cores 8 --configfile mine.yaml": "needs an image and a GPU",
        "pip install -r envs/htcondor.txt": INSTALLS,
        "snakemake --cores 4 --configfile mine.yaml --until download": DRY,
        "snakemake --use-conda": CONDA,
        "snakemake --use-conda --conda-create-envs-only --cores 1 --configfile mine.yaml": CONDA,
    },
    "docs/cpp/README.md": {
        "cmake -S docs/cpp -B build": CPP,
        "cmake --build build": CPP,
        "python docs/cpp/write_jets.py results/export/fast/1/model_sparse.onnx results/jets/gun/00000.parquet "
        "jets.bin": RUN,
        "build/masses results/export/fast/1/model_sparse.onnx jets.bin": CPP,
    },
    "docs/evaluation.md": {"snakemake results/calibration/fast/1.json --configfile mine.yaml": CALIBRATION},
    "docs/networks.md": {
        "snakemake --configfile mine.yaml": (
            "tests/test_module.py trains the network of the page, tests/test_workflow.py runs the workflow with it"
        ),
        ".venv/bin/python -m pip install --no-deps -r envs/peers.txt": INSTALLS,
        "snakemake --configfile studies/peers/peers.yaml --set-threads train=1": DRY,
        "snakemake --configfile studies/top_mass.yaml studies/peers/top_mass.yaml --set-threads train=1": DRY,
        "snakemake --configfile studies/realism.yaml "
        "--config 'run={experiments: [ttbar_all, subtracted], seeds: [1, 2, 3]}'": DRY,
        "python docs/draw_diagrams.py": RUN,
    },
    "docs/onnx.md": {"snakemake export": RUN},
    "docs/physics.md": {"python docs/draw_event_displays.py": RUN},
    "docs/quickstart.md": {
        "git clone <repository URL> topmass && cd topmass": "a placeholder: the tests work in a copy",
        "source .venv/bin/activate": RUN,
        "snakemake --configfile mine.yaml --dry-run": RUN,
        "snakemake --configfile mine.yaml": RUN,
        "snakemake --snakefile path/to/topmass/Snakefile --directory elsewhere": DRY,
    },
    "docs/results.md": {
        "snakemake --config 'run={experiments: [fast, kinematics, resnet15]}' 'evaluate={gbdt_on_subjets: true}'": DRY,
        "snakemake --config 'run={experiments: [best]}'": DRY,
        "snakemake --configfile studies/realism.yaml": DRY,
        "python studies/oracle.py --jets 60000 --seed 1": (
            "some minutes: tests/test_oracle.py runs it with fewer jets"
        ),
    },
    "docs/scaling.md": {"snakemake --configfile studies/gpu.yaml": DRY},
    "docs/top-mass-fit.md": {
        "snakemake --configfile studies/top_mass.yaml": DRY,
        "snakemake --configfile studies/top_mass.yaml studies/top_mass_small.yaml": DRY,
        "snakemake --configfile studies/top_mass.yaml mine.yaml": DRY,
    },
    "docs/training.md": {"snakemake --retries 3": DRY},
    "docs/trust.md": {
        "snakemake --configfile studies/top_mass.yaml": DRY,
        "snakemake --config 'run={experiments: [real]}'": DRY,
        "snakemake --configfile studies/top_mass.yaml studies/top_mass_small.yaml studies/real.yaml": DRY,
    },
    "docs/troubleshooting.md": {
        "python workflow/start.py --configfile mine.yaml": DRY,
        "python workflow/start.py --cores 2": DRY,
        "python workflow/start.py": DRY,
        "snakemake export": DRY,
        "python workflow/start.py …": "any of the others",
        "python -m pip install PySocks": INSTALLS,
        "snakemake --touch --forceall": RUN,
        ".venv/bin/python -m snakemake": DRY,
    },
    "docs/use-a-model.md": {
        "source .venv/bin/activate": RUN,
        "snakemake predict --config 'predict={model: models/real/model.safetensors, jets: ttbar_172}' "
        "'samples={ttbar_172: {jets: 500, jets_per_block: 500}}'": RUN,
        "topmass predict models/real/model.safetensors pfnano.root masses.root --format nanoaod": ROOT,
        "pip install -e .": INSTALLS,
        "topmass predict results/train/fast/1/model.safetensors jets.parquet masses.parquet "
        "--layers track_pt,track_dz,track_d0,ecal,hcal,bpix1,bpix2,bpix3": COMMAND,
        "topmass export results/train/fast/1/model.safetensors results/jets/gun/00000.parquet exported": COMMAND,
        "topmass card results/train/fast/1 results/evaluate/fast/1/metrics.json": COMMAND,
        "snakemake predict --configfile mine.yaml": RUN,
    },
    "docs/your-own-jets.md": {
        "snakemake --configfile mine.yaml": DRY,
        "snakemake --config 'run={experiments: [top_gun]}' --dry-run": RUN,
        "snakemake results/download/open_data/BuildFile.xml": DRY,
        "snakemake results/figures/fast/1/containment.png --configfile mine.yaml": DRY,
    },
}
"""For each page its commands, apart from those of `make`, and how each is tested or why it is not."""
MINE = {
    "README.md": "{samples: {gun: {jets: 400}}, experiments: {fast: {network: {width: 64}}}}",
    "docs/quickstart.md": "{samples: {gun: {jets: 400}}, experiments: {fast: {network: {width: 64}}}}",
    "docs/top-mass-fit.md": "{samples: {my_variation: {extends: ttbar_172, jets: 1000}},"
    " top_mass_fit: {variations: [my_variation]}}",
    "docs/use-a-model.md": "{predict: {model: fast/1, jets: ~/jets.parquet,"
    " layers: [track_pt, track_dz, track_d0, ecal, hcal, bpix1, bpix2, bpix3]}}",
    "docs/your-own-jets.md": "{samples: {mine: {files: [{path: ~/jets.parquet}], layers: [ecal]}},"
    " datasets: {all_layers: {sample: mine, layers: [ecal]}}}",
}
"""What `mine.yaml` of a page is, where its commands have one of some use."""
ON_RESULTS = (
    "README.md",
    "docs/quickstart.md",
    "docs/use-a-model.md",
    "docs/onnx.md",
    "docs/cpp/README.md",
    "docs/troubleshooting.md",
)
"""Pages that need a run that has been there before."""


def commands(page: Path) -> list[str]:
    """Return the commands of a page, without comments: lines of its blocks for a console, then those in sentences."""
    text = page.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).replace("\\\n", "").splitlines()
    spans = [
        " ".join(span.split()) for span in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ]
    found = blocks + [span for span in spans if OURS.match(span) and (" " in span or span == ".ci/run")]
    return [*dict.fromkeys(" ".join(re.sub(r"\s#.*", "", each).split()) for each in found)]


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def of_make() -> list[str]:
    """Return the commands of `make` that the pages and `make help` name."""
    text = subprocess.run(["make", "--directory", REPOSITORY, "help"], capture_output=True, text=True).stdout
    found = re.findall(r"^make \S+(?: [A-Z]+=\S+)?", text, re.MULTILINE)
    return sorted({*found, *(each for page in PAGES for each in commands(page) if each.startswith("make "))})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_command_is_run_or_has_a_reason(page):
    assert {each for each in commands(page) if not each.startswith("make ")} == TABLE.get(name(page), {}).keys()


def test_reasons_name_tests_that_exist():
    reasons = {reason for page in TABLE.values() for reason in page.values()}
    assert all((REPOSITORY / path).exists() for reason in reasons for path in re.findall(r"tests/\w+\.py", reason))


@pytest.mark.parametrize("command", of_make())
def test_make_has_a_rule_for_each_target_that_is_named(command, tmp_path):
    # In a new clone there is nothing but these files.
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    ended = subprocess.run([*command.split(), "--dry-run"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def copy_to(folder: Path) -> Path:
    """Return a copy of the repository as a new user has it, with the environment of these tests."""
    if not filecmp.cmp(REPOSITORY / "envs/requirements.txt", Path(sys.prefix) / "ready"):
        pytest.skip("this Python is of no environment by `make`")
    left = (".git", ".venv", ".cache", "results", ".snakemake", ".*_cache")
    shutil.copytree(REPOSITORY, folder / "topmass", ignore=shutil.ignore_patterns(*left))
    (folder / "topmass/.venv").symlink_to(sys.prefix)
    return folder / "topmass"


def shell(copy: Path, lines: list[str]) -> None:
    """Run lines in one shell, in this copy of the repository, whose folder is the user's home; each must succeed."""
    places = {
        "/scratch/": f"{copy.parent}/scratch/",
        "/shared/": f"{copy.parent}/shared/",
        "path/to/topmass": str(copy),
    }
    text = "\n".join(["set -ex", *lines])
    for there, here in places.items():
        text = text.replace(there, here)
    variables = {"PATH": os.environ["PATH"], "HOME": str(copy.parent), "USER": "me", "LOGNAME": "me"}
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    ended = subprocess.run(["bash", "-c", text], cwd=copy, env=variables, **told)
    assert ended.returncode == 0, ended.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """A copy in which `make run` has been run, with a configuration of few jets and short trainings."""
    copy = copy_to(tmp_path_factory.mktemp("ran"))
    config, tiny = (yaml.safe_load((copy / each).read_text()) for each in ("config.yaml", "tests/tiny.yaml"))
    config["run"] = {"experiments": ["fast"], "seeds": [1]}
    config["samples"]["gun"] |= tiny["samples"]["gun"]
    config["datasets"]["all_layers"] |= {"split": tiny["datasets"]["flat"]["split"]}
    config["datasets"]["flat"]["flatten"] |= {"mass": tiny["datasets"]["flat"]["flatten"]["mass"]}
    config["experiments"]["fast"]["recipe"] |= {"batch_size": 16}
    config["evaluate"] |= {each: tiny["evaluate"][each] for each in ("mass_bins", "pt_bins")}
    (copy / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shell(
        copy,
        [
            "make run",
            "make timings",
            "make run 2>&1 | grep 'Nothing to be done'",
            "source .venv/bin/activate",
            "snakemake export",
        ],
    )
    return copy


WITH_COMMANDS = [page for page in TABLE if {RUN, DRY} & {*TABLE[page].values()}]


@pytest.mark.lab
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_commands_of_a_page_succeed(page, request, tmp_path):
    if page in ON_RESULTS:
        copy = shutil.copytree(request.getfixturevalue("ran"), tmp_path / "topmass", symlinks=True)
    else:
        copy = copy_to(tmp_path)
    # The README has jets that say what their layers are, the other pages images.
    table = copy / "results/jets/gun/00000.parquet"
    write_dense(
        tmp_path / "jets.parquet", concat_jets([*JetTable(table).batches()]) if table.exists() else make_jets(60)
    )
    shutil.copy(table if page == "README.md" else tmp_path / "jets.parquet", copy / "jets.parquet")
    (copy / "mine.yaml").write_text(MINE.get(page, "{}"), encoding="utf-8")
    (copy / "site.yaml").write_text("compute: { device: cuda, processes: 1 }", encoding="utf-8")
    lines = ["source .venv/bin/activate"]
    lines += [
        f"{command} {'--dry-run' if how == DRY else ''}" for command, how in TABLE[page].items() if how in (RUN, DRY)
    ]
    shell(copy, lines)


@pytest.fixture(scope="module")
def installed(ran, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A copy of the repository with results, and variables of an environment in which it is installed."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", folder / "venv"], check=True)
    # The packages of the environment of these tests, without a copy of gigabytes.
    site = next((folder / "venv/lib").glob("python*/site-packages"))
    (site / "tests.pth").write_text(f"{Path(sys.prefix) / site.relative_to(folder / 'venv')}\n")
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ran]
    ended = subprocess.run(pip, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ran, {"PATH": f"{folder / 'venv/bin'}:{os.environ['PATH']}", "HOME": str(folder), "MPLBACKEND": "agg"}


def run_installed(installed, folder: Path, *command: object) -> None:
    ended = subprocess.run(map(str, command), cwd=folder, env=installed[1], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.lab
def test_predict_export_and_card(installed, tmp_path):
    copy = installed[0]
    training, table = copy / "results/train/fast/1", copy / "results/jets/gun/00000.parquet"
    run_installed(installed, tmp_path, "topmass", "predict", training / "model.safetensors", table, "masses.parquet")
    assert len(pq.read_table(tmp_path / "masses.parquet")) == len(pq.read_table(table))
    run_installed(installed, tmp_path, "topmass", "export", training / "model.safetensors", table, "exported")
    made = ["model.onnx", "model_sparse.onnx", "parity.json", "preprocess.json"]
    assert sorted(path.name for path in (tmp_path / "exported").iterdir()) == made
    shutil.copytree(training, tmp_path / "results/train/fast/1")
    (tmp_path / "results/train/fast/1/MODEL.md").unlink()
    run_installed(
        installed, tmp_path, "topmass", "card", "results/train/fast/1", copy / "results/evaluate/fast/1/metrics.json"
    )
    card = (tmp_path / "results/train/fast/1/MODEL.md").read_text()
    expected = (training / "MODEL.md").read_text()
    assert card.splitlines()[:5] == expected.splitlines()[:5] and len(card.splitlines()) == len(expected.splitlines())


@pytest.mark.lab
def test_the_python_example_draws_100_jets(installed, tmp_path):
    page = (REPOSITORY / "docs/use-a-model.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(from pathlib.*?)```", page, re.DOTALL)[1]
    (tmp_path / "results").symlink_to(installed[0] / "results")
    run_installed(installed, tmp_path, "python", "-c", example)
    assert (tmp_path / "masses.png").stat().st_size > 10_000
