"""Start Snakemake in this folder: after a run that is still at work, and past the lock of one that was killed."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

sys.path.append(str(Path(__file__).parent / "scripts"))
from topmass.workflow.turns import take_turn, whose_turn

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def start(arguments: list[str]) -> NoReturn:
    """Wait, unlock, and become Snakemake."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    folder = parser.parse_known_args(arguments)[0].directory.resolve()
    waited_for = ""
    while (turn := take_turn(folder)) is False:
        if not waited_for and (waited_for := whose_turn(folder)):
            print(f"waiting for the run that is at work in this folder ({waited_for})", file=sys.stderr)
        time.sleep(1)
    # Whoever has left Snakemake's own lock is dead, or would have the turn.
    if turn and any((folder / ".snakemake/locks").glob("*")):
        unlocked = subprocess.run([*SNAKEMAKE, "--unlock", *arguments], capture_output=True, text=True)
        if unlocked.returncode:
            sys.exit(unlocked.stderr.strip())
    # In place of this process, so that Ctrl-C and signals reach Snakemake itself.
    os.execv(sys.executable, [*SNAKEMAKE, *arguments])


if __name__ == "__main__":
    try:
        start(sys.argv[1:])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror.lower()}")
