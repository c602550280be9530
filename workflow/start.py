"""Start Snakemake in this folder: after a run that is still at work, and past the lock of one that was killed.

Snakemake and its jobs find the packages of this Python, and no others; and what they want of a user even where that one
has no home and no name, as service accounts and numbers in a container.
"""

import argparse
import getpass
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

sys.path.append(str(Path(__file__).parent / "scripts"))
from topmass.files import BadInput
from topmass.workflow.turns import take_turn, whose_turn

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
FOREIGN = ("PYTHONPATH", "PYTHONHOME")
"""By these, a lab's software stack lets its own packages go before those that are installed here."""


def start(arguments: list[str]) -> NoReturn:
    """Wait, unlock, and become Snakemake."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    parser.add_argument("--configfile", "--configfiles", nargs="+", type=Path, default=[])
    given = parser.parse_known_args(arguments)[0]
    for file in given.configfile:
        # Not at the top: the start itself needs no package.
        from topmass.workflow.reading import read_file

        # Snakemake names neither file nor line of one that it cannot read.
        read_file(file)
    folder = given.directory.resolve()
    environment = complete(os.environ, folder)
    waited_for = ""
    while (turn := take_turn(folder)) is False:
        if not waited_for and (waited_for := whose_turn(folder)):
            print(f"waiting for the run that is at work in this folder ({waited_for})", file=sys.stderr)
        time.sleep(1)
    # Whoever has left Snakemake's own lock is dead, or would have the turn.
    if turn and any((folder / ".snakemake/locks").glob("*")):
        told = {"env": environment, "capture_output": True, "encoding": "utf-8", "errors": "replace"}
        unlocked = subprocess.run([*SNAKEMAKE, "--unlock", *arguments], **told)
        if unlocked.returncode:
            sys.exit(unlocked.stderr.strip())
    # In place of this process, so that Ctrl-C and signals reach Snakemake itself.
    os.execve(sys.executable, [*SNAKEMAKE, *arguments], environment)


def complete(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of a run in this folder."""
    foreign = [f"{name}={given[name]}" for name in FOREIGN if name in given]
    if foreign:
        print(f"without {' and '.join(foreign)}: packages come from {sys.prefix} alone", file=sys.stderr)
    found = {"PATH": os.defpath} | {name: value for name, value in given.items() if name not in FOREIGN}
    # A user's own packages go before those of a conda environment.
    found["PYTHONNOUSERSITE"] = "1"
    try:
        getpass.getuser()
    except (KeyError, OSError):
        found["LOGNAME"] = f"user{os.getuid()}"
    home, spare = os.path.expanduser("~"), str(folder / ".snakemake/home")
    if home == "~":
        home = found["HOME"] = spare
    cache = found.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    if not is_writable(Path(cache)):
        found["XDG_CACHE_HOME"] = os.path.join(spare, ".cache")
    return found


def is_writable(folder: Path) -> bool:
    """Whether this user may write into the folder, or make it."""
    # Not `Path.exists`, which raises where it may not look.
    return os.access(next(each for each in (folder, *folder.parents) if os.path.exists(each)), os.W_OK)


if __name__ == "__main__":
    try:
        start(sys.argv[1:])
    except BadInput as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or 'this machine'}: {error.strerror.lower()}")
