"""Start Snakemake in this folder: after one that is still at work, and past the lock of one that was killed."""

import argparse
import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import psutil


def take_turn(folder: Path) -> None:
    """Wait for a run that was started in this way in this folder, on this machine or another that sees the folder.

    The lock is this process's until it ends: it passes to the Snakemake that takes its place, and not to its jobs.
    """
    (folder / ".snakemake").mkdir(exist_ok=True)
    opened = os.open(folder / ".snakemake/start", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(opened, True)
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return  # a file system without locks
        say_waiting(os.pread(opened, 200, 0).decode())
        fcntl.lockf(opened, fcntl.LOCK_EX)
    os.truncate(opened, 0)
    os.pwrite(opened, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


def others(folder: Path) -> list[int]:
    """Processes of Snakemakes in this folder on this machine, however started; jobs that outlived theirs are none."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        command = [Path(word).name for word in process.info["cmdline"] or []]
        if "snakemake" in command[:3] and process.info["cwd"] == str(folder) and process.pid != os.getpid():
            found.append(process.pid)
    return found


def say_waiting(run: str) -> None:
    """Tell why nothing happens."""
    print(f"waiting for the run that is at work in this folder ({run})", file=sys.stderr)


def start(arguments: list[str]) -> NoReturn:
    """Wait, unlock, and become Snakemake."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    folder = parser.parse_known_args(arguments)[0].directory.resolve()
    snakemake = [sys.executable, "-m", "snakemake"]
    folder.mkdir(parents=True, exist_ok=True)
    take_turn(folder)
    if at_work := others(folder):
        say_waiting(f"process {at_work[0]}")
    while others(folder):
        time.sleep(1)
    if any((folder / ".snakemake/locks").glob("*")):
        unlocked = subprocess.run([*snakemake, "--unlock", *arguments], capture_output=True, text=True)
        if unlocked.returncode:
            sys.exit(unlocked.stderr.strip())
    # In place of this process, so that Ctrl-C and signals reach Snakemake itself.
    os.execv(sys.executable, [*snakemake, *arguments])


if __name__ == "__main__":
    try:
        start(sys.argv[1:])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror.lower()}")
