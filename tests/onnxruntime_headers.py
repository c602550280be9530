"""The headers of onnxruntime's C++ API, which its Python package lacks: the machine's own, or Debian's."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import REPOSITORY

PLACES = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime", "/usr/local/include")
HEADER = "onnxruntime_cxx_api.h"
RELEASE, PACKAGE = "trixie", "libonnxruntime-dev"
"""Debian 13 is the first that has the package; its headers serve an older one too."""
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def find_headers() -> Path:
    """The folder of the headers: `ONNXRUNTIME_INCLUDE` or a usual one, else of Debian's package; skips without any."""
    named = os.environ.get("ONNXRUNTIME_INCLUDE")
    for folder in map(Path, [named] if named else PLACES):
        if (folder / HEADER).exists():
            return folder
    return fetch(REPOSITORY / ".cache/onnxruntime-headers")


def fetch(folder: Path) -> Path:
    """The same out of Debian's package, kept in this folder for the next time; nothing is installed."""
    found = folder / "unpacked/usr/include/onnxruntime"
    if (found / HEADER).exists():
        return found
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        pytest.skip(f"no {HEADER} on this machine: ONNXRUNTIME_INCLUDE may name its folder")
    for kind in ("lists/partial", "cache/archives/partial"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(source())
    places = {"Etc::sourcelist": "sources.list", "State::lists": "lists", "Cache": "cache"}
    options = [f"-oDir::{name}={folder / place}" for name, place in places.items()]
    options += ["-oDir::Etc::sourceparts=/dev/null", "-oAPT::Sandbox::User="]
    for command in (
        ["apt-get", *options, "update"],
        ["apt-get", *options, "download", PACKAGE],
        ["sh", "-c", f"dpkg -x {PACKAGE}_*.deb unpacked"],
    ):
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"no {HEADER} on this machine, and not to be had: {ended.stderr.strip().splitlines()[-1]}")
    return found


def source() -> str:
    """Where this machine has its packages from, for the release of Debian that has ours."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    found = subprocess.run(command, capture_output=True, text=True).stdout.split()
    if not found or not Path(KEYS).exists():
        pytest.skip(f"no {HEADER} on this machine, and its packages are not Debian's")
    return f"deb [signed-by={KEYS}] {found[0]} {RELEASE} main\n"
