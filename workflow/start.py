"""Start Snakemake in this folder: after one that is still at work, and past the lock of one that was killed."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import psutil


def at_work() -> list[int]:
    """Processes of other Snakemakes in this folder; those of jobs that outlived theirs are none."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        command = [Path(word).name for word in process.info["cmdline"] or []]
        if "snakemake" in command[:3] and process.info["cwd"] == os.getcwd() and process.pid != os.getpid():
            found.append(process.pid)
    return found


def start(arguments: list[str]) -> NoReturn:
    """Wait, unlock, and become Snakemake."""
    snakemake = [sys.executable, "-m", "snakemake"]
    if waited_for := at_work():
        print(f"waiting for the run that is at work in this folder (process {waited_for[0]})", file=sys.stderr)
    while at_work():
        time.sleep(1)
    if any(Path(".snakemake/locks").glob("*")):
        unlocked = subprocess.run([*snakemake, "--unlock", *arguments], capture_output=True, text=True)
        if unlocked.returncode:
            sys.exit(unlocked.stderr.strip())
    # In place of this process, so that Ctrl-C and signals reach Snakemake itself.
    os.execv(sys.executable, [*snakemake, *arguments])


if __name__ == "__main__":
    start(sys.argv[1:])
