"""Start of Snakemake under a run lock.

The start waits for an active run in the same folder, and removes the lock of a killed run. PYTHONPATH, PYTHONHOME and
the user's site-packages are hidden from Snakemake and its jobs. Users without home or name (service accounts, numeric
users in a container) get replacements.
"""

import argparse
import getpass
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

sys.path.append(str(Path(__file__).parent / "scripts"))
from topmass.config.run_lock import acquire_run_lock, lock_owner, require_writable
from topmass.files import BadInput

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
FOREIGN = ("PYTHONPATH", "PYTHONHOME")
"""Variables with which the software stack of a lab overrides the installed packages."""


def start(arguments: list[str]) -> NoReturn:
    """Wait for the run lock, unlock the folder, and replace this process by Snakemake.

    Args:
        arguments: Arguments of Snakemake.

    Raises:
        BadInput: A configuration file cannot be read, the folder is not writable, or there is no temporary folder.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    parser.add_argument("--configfile", "--configfiles", nargs="+", type=Path, default=[])
    options = parser.parse_known_args(arguments)[0]
    for file in options.configfile:
        # Imported here, since the start itself needs no package.
        from topmass.config.config_sources import read_file

        # If a file is invalid, Snakemake's message names neither file nor line.
        read_file(file)
    folder = options.directory.resolve()
    if folder.exists():
        require_writable(folder, Path(__file__).parents[1] / "Snakefile")
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise BadInput(f"TMPDIR: {error.strerror}; to fix: set TMPDIR to a writable folder with free space") from None
    environment = clean_environment(os.environ, folder)
    owner = ""
    while (locked := acquire_run_lock(folder)) is False:
        if not owner and (owner := lock_owner(folder)):
            print(f"waiting for the run that is at work in this folder ({owner})", file=sys.stderr)
        time.sleep(1)
    # A remaining lock of Snakemake belongs to a dead run: a live run would have the run lock. If the file system has no
    # locks (None), a live run cannot be seen, and nothing is unlocked.
    if locked and any((folder / ".snakemake/locks").glob("*")):
        command = [*SNAKEMAKE, "--unlock", *arguments]
        unlock = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", errors="replace")
        if unlock.returncode:
            sys.exit(unlock.stderr.strip())
    # Replace this process, so that Ctrl-C and signals reach Snakemake itself.
    os.execve(sys.executable, [*SNAKEMAKE, *arguments], environment)


def clean_environment(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment variables of a run in this folder; print the names of those that are hidden."""
    foreign = [f"{name}={variables[name]}" for name in FOREIGN if name in variables]
    if foreign:
        print(f"without {' and '.join(foreign)}: packages come from {sys.prefix} alone", file=sys.stderr)
    environment = {"PATH": os.defpath} | {name: value for name, value in variables.items() if name not in FOREIGN}
    # Packages in the user's home would override those of a conda environment.
    environment["PYTHONNOUSERSITE"] = "1"
    try:
        getpass.getuser()
    except (KeyError, OSError):
        environment["LOGNAME"] = f"user{os.getuid()}"
    home, fallback_home = os.path.expanduser("~"), str(folder / ".snakemake/home")
    if home == "~":
        home = environment["HOME"] = fallback_home
    cache = environment.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    # `Path.exists` raises without permission; `os.path.exists` does not.
    nearest_existing = next(path for path in (Path(cache), *Path(cache).parents) if os.path.exists(path))
    if not os.access(nearest_existing, os.W_OK):
        environment["XDG_CACHE_HOME"] = os.path.join(fallback_home, ".cache")
    return environment


if __name__ == "__main__":
    try:
        start(sys.argv[1:])
    except BadInput as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or 'this machine'}: {(error.strerror or str(error)).lower()}")
