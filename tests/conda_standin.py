"""A STAND-IN for the command `conda`: the calls that Snakemake makes of it, for machines that have neither.

Real are the parser, the solver and the installer of conda packages (py-rattler), and pip. Stood in for is the channel:
a local folder in which Python and pip are empty packages; the Python of an environment is a fresh `venv` of the one
that runs this, with nothing in it but what pip puts there. So it shows that the files in envs/ are understood and that
an environment has what its stage needs; not that conda-forge has what they name.
"""

import asyncio
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

import yaml
from rattler import Channel, MatchSpec, VirtualPackage, install, solve
from rattler.index import index_fs

VERSION = "24.11.3"
PACKAGES = {"python": f"{sys.version_info.major}.{sys.version_info.minor}.7", "pip": "25.0"}


def write_package(folder: Path, name: str, version: str) -> None:
    """An empty conda package for any platform."""
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    index |= {"noarch": "generic", "license": "none", "timestamp": 1}
    paths = {"paths": [], "paths_version": 1}
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2") as package:
        for file, content in {"index.json": index, "paths.json": paths, "about.json": {}}.items():
            text = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"info/{file}")
            entry.size = len(text)
            package.addfile(entry, io.BytesIO(text))


async def make(specs: list[str], prefix: Path) -> None:
    """Solve for these specifications in a channel of empty packages, and install what comes out."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "noarch").mkdir()
        for name, version in PACKAGES.items():
            write_package(Path(folder) / "noarch", name, version)
        await index_fs(folder)
        wanted = [MatchSpec(spec, strict=True) for spec in specs]
        virtual = VirtualPackage.detect()
        found = await solve([Channel(folder)], wanted, platforms=["linux-64", "noarch"], virtual_packages=virtual)
        await install(found, target_prefix=str(prefix))


def create(file: Path, prefix: Path) -> None:
    """Make the environment of a file: the conda part, a Python, and the pip part."""
    dependencies = yaml.safe_load(file.read_text())["dependencies"]
    asyncio.run(make([each for each in dependencies if isinstance(each, str)], prefix))
    venv.create(prefix, with_pip=True, symlinks=True)
    pins = [pin for each in dependencies if isinstance(each, dict) for pin in each["pip"]]
    pip = [prefix / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *pins], check=True)


def main(arguments: list[str]) -> None:
    """Answer one call."""
    home = sys.argv[1]
    match arguments:
        case ["--version"]:
            print(f"conda {VERSION}")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": home, "root_prefix": home, "platform": "linux-64", "envs_dirs": []}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}, "success": True}))
        case ["env", "create", *options]:
            create(Path(options[options.index("--file") + 1]), Path(options[options.index("--prefix") + 1]))
        case ["list" | "clean", *_]:
            pass
        case _:
            sys.exit(f"the stand-in for conda does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[2:])
