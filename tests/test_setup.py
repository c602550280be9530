"""The set-up by `make`, on machines where something else wants to be Python."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import REPOSITORY

RECORD = "tiny-1.dist-info"


def write_wheel(folder: Path) -> Path:
    """A wheel with a `snakemake` that says in which file it lies, in place of gigabytes."""
    wheel = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr("snakemake/__init__.py", "")
        content.writestr("snakemake/__main__.py", "import sys; print(__file__, *sys.argv[1:])")
        content.writestr(f"{RECORD}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        content.writestr(
            f"{RECORD}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        content.writestr(f"{RECORD}/RECORD", "")
    return wheel


def make(repository: Path, **variables: str) -> str:
    """`make run`, which here starts no Snakemake but ours; what it says."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(repository.parent), **variables}
    command = ["make", "run", f"PYTHON={sys.executable}"]
    completed = subprocess.run(command, cwd=repository, env=environment, text=True, capture_output=True)
    assert completed.returncode == 0 and f"{repository}/.venv/lib" in completed.stdout, completed.stderr
    return completed.stdout + completed.stderr


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of what set-up and start need, with little to install, set up where pip is told to install elsewhere."""
    folder = tmp_path_factory.mktemp("setup")
    repository = folder / "repository"
    shutil.copytree(REPOSITORY / "workflow", repository / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Makefile", repository)
    (repository / "envs").mkdir()
    (repository / "envs/requirements.txt").write_text(f"tiny @ {write_wheel(folder).as_uri()}\n", encoding="utf-8")
    elsewhere = [f"{option} = {folder}/elsewhere\n" for option in ("target", "prefix", "root")]
    (folder / "pip.conf").write_text("[install]\nuser = true\n" + "".join(elsewhere), encoding="utf-8")
    pip_options = {f"PIP_{option}": str(folder / "elsewhere") for option in ("TARGET", "PREFIX", "ROOT")}
    said = make(
        repository, PIP_CONFIG_FILE=str(folder / "pip.conf"), PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1", **pip_options
    )
    assert "setting up .venv" in said
    return repository


@pytest.fixture
def copy(repository, tmp_path) -> Path:
    """That folder in another place, under another name, with other times."""
    return shutil.copytree(repository, tmp_path / "a copy", symlinks=True, copy_function=shutil.copyfile)


def test_packages_go_into_the_folders_own_environment_whatever_pip_is_told(repository):
    assert not (repository.parent / "elsewhere").exists() and not (repository.parent / ".local").exists()


def test_a_folder_that_was_moved_or_copied_needs_no_new_environment(repository, copy):
    said = make(copy)
    assert "setting up .venv" not in said and str(repository) not in said


@pytest.mark.lab
def test_an_environment_of_another_machine_is_made_anew_and_what_a_link_leads_to_is_kept(copy, tmp_path):
    theirs = shutil.move(copy / ".venv", tmp_path / "theirs")
    (copy / ".venv").symlink_to(theirs)
    for link in (tmp_path / "theirs/bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python")
    assert "setting up .venv" in make(copy)
    assert not (copy / ".venv").is_symlink() and (tmp_path / "theirs/ready").exists()


def test_a_temporary_folder_without_room_is_named(small_disk, tmp_path):
    command = ["make", "--directory", tmp_path, "--makefile", REPOSITORY / "Makefile", ".venv"]
    completed = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(small_disk)}, capture_output=True, encoding="utf-8"
    )
    assert completed.returncode and f"TMPDIR={small_disk}: 0.0 GB are free" in completed.stderr
    assert "to fix: TMPDIR=<another folder> make" in completed.stderr and not (tmp_path / ".venv").exists()


def test_packages_of_a_labs_software_stack_do_not_go_before_ours(copy, tmp_path):
    (tmp_path / "stack").mkdir()
    for name in ("yaml", "numpy", "snakemake"):
        (tmp_path / f"stack/{name}.py").write_text("raise SystemExit('of another stack')", encoding="utf-8")
    stack = {"PYTHONPATH": str(tmp_path / "stack")}
    assert "without PYTHONPATH and PYTHONHOME" in make(copy, **stack)
    command = [sys.executable, "workflow/start.py", "--version"]
    completed = subprocess.run(command, cwd=copy, env=os.environ | stack, text=True, capture_output=True)
    assert completed.returncode == 0 and f"without PYTHONPATH={tmp_path}/stack" in completed.stderr, completed.stderr
