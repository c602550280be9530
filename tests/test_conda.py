"""Every stage in an environment that has what its file in envs/ lists and nothing else, through `--use-conda`.

With a real `conda` where there is one; else with the stand-in of conda_standin.py.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import REPOSITORY, make_jets
from extra_packages import extra_packages, kept_folder
from servers import web_server
from topmass.io.dense_file import write_dense
from topmass.layers import LAYERS

ENVIRONMENTS = sorted((REPOSITORY / "envs").glob("*.yaml"))
# A new environment for each test run takes minutes; one of the same content is kept, as conda keeps it for users.
PREFIX = REPOSITORY / ".cache/conda"
STAND_IN = """#!/bin/sh
PYTHONPATH={rattler} exec {python} {tests}/conda_standin.py {home} "$@"
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


@pytest.fixture(scope="module")
def rattler() -> Path:
    return extra_packages("rattler", "py-rattler==0.28.0")


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_every_line_is_what_conda_or_pip_understands(file, rattler):
    lines = yaml.safe_load(file.read_text())["dependencies"]
    specs = [*(line for line in lines if isinstance(line, str)), *lines[-1]["pip"]]
    code = "import sys; from rattler import MatchSpec; [MatchSpec(spec, strict=True) for spec in sys.argv[1:]]"
    environment = os.environ | {"PYTHONPATH": str(rattler)}
    subprocess.run([sys.executable, "-c", code, *specs], env=environment, check=True)
    # And a line that nobody understands is refused.
    assert subprocess.run([sys.executable, "-c", code, "numpy=>1"], env=environment, capture_output=True).returncode


@pytest.fixture(scope="module")
def path(rattler, tmp_path_factory) -> str:
    """A search path with `conda`."""
    if shutil.which("conda"):
        return os.environ["PATH"]
    home = tmp_path_factory.mktemp("stand_in_for_conda")
    (home / "bin").mkdir()
    text = STAND_IN.format(rattler=rattler, python=sys.executable, tests=REPOSITORY / "tests", home=home)
    (home / "bin/conda").write_text(text)
    (home / "bin/conda").chmod(0o755)
    (home / "bin/activate").write_text(ACTIVATE)
    return f"{home}/bin:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def bare_snakemake(tmp_path_factory) -> Path:
    """A Python with Snakemake, what Snakemake needs, and nothing else.

    Snakemake puts its own packages at the end of the path of every script, in any environment. Were it run from the
    environment of the tests, which has everything, no stage would miss anything.
    """
    (pin,) = (line for line in (REPOSITORY / "envs/requirements.txt").read_text().split() if "snakemake==" in line)
    folder = kept_folder("snakemake", pin)
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", pin], check=True)
        (folder / "ready").touch()
    python = folder / "bin/python"
    for name in ("numpy", "pyarrow", "torch", "fsspec", "matplotlib", "pandas"):
        assert subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode, f"{name} would leak"
    return python


def run(python: Path, path: str, folder: Path, *arguments: str) -> str:
    """The workflow in this folder, each stage in its environment."""
    command = [python, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", folder]
    command += ["--cores", "2", "--use-conda", "--conda-prefix", PREFIX, *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment["PATH"] = path
    ended = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.slow
@pytest.mark.lab
def test_every_stage_finds_all_it_needs_in_its_own_environment(bare_snakemake, path, tmp_path):
    tiny = str(REPOSITORY / "tests/tiny.yaml")
    said = run(bare_snakemake, path, tmp_path, "--configfile", tiny)
    assert "best constant for MAE" in said and (tmp_path / "results/report.html").exists()

    write_dense(tmp_path / "dense.parquet", make_jets(20).take(np.arange(20)))
    with web_server((tmp_path / "dense.parquet").read_bytes()) as web:
        layers = [layer.name for layer in LAYERS]
        sample = {"files": [{"url": web.url, "name": "dense.parquet"}], "layers": layers, "blocks_per_file": 1}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"samples": {"mine": sample}}))
        target = "results/jets/mine/00000.parquet"
        run(bare_snakemake, path, tmp_path, target, "--configfile", tiny, str(tmp_path / "mine.yaml"))
    assert (tmp_path / target).exists()
