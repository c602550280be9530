"""A real SLURM of one node, from Debian's packages, for as long as a test needs it.

It has two GPUs that are pretended: device files that torch finds no GPU behind, but that SLURM counts, gives to a job
and takes back, with `CUDA_VISIBLE_DEVICES`. It runs as root, without control groups and without accounting.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "squeue")
# The one place in which all of SLURM's commands look by themselves.
HOME = Path("/etc/slurm")

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
SlurmctldPort=17817
SlurmdPort=17818
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
# What control groups do elsewhere: a job that takes more memory than it asked for is killed.
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
# More cores and memory than this machine may have: the requests of the profile are to be met, not used up.
SlurmdParameters=config_overrides
GresTypes=gpu
MinJobAge=300
KillWait=5
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:pretended:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES State=UP
PartitionName=gpu Nodes={host} State=UP
"""


def why_not() -> str | None:
    """What stands in the way of a cluster here, if anything does."""
    if missing := [program for program in PROGRAMS if not shutil.which(program, path="/usr/sbin:/usr/bin")]:
        return f"no SLURM here ({', '.join(missing)}): apt-get install slurm-wlm munge slurm-wlm-basic-plugins"
    if os.getuid():
        return "SLURM's daemons are started by root only"
    found = HOME / "slurm.conf"
    # A link to nowhere is what a killed test has left.
    if found.exists():
        return f"{found} is there: this machine belongs to a cluster, or a killed test left daemons: remove it then"
    return None


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start the daemons, with all that is theirs in this folder but a link in /etc/slurm; stop them at the end."""
    configure(folder)
    links = [HOME / name for name in ("slurm.conf", "gres.conf")]
    HOME.mkdir(exist_ok=True)
    try:
        for link in links:
            remove(link)
            link.symlink_to(folder / link.name)
        start(folder)
        yield
    finally:
        stop(folder)
        for link in links:
            remove(link)


def remove(link: Path) -> None:
    """Remove a link, and nothing else."""
    if link.is_symlink():
        link.unlink()


def configure(folder: Path) -> None:
    """Write the configuration, a key, and the device files of two GPUs."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    for number in range(2):
        # As /dev/null, under a name that tells SLURM the number.
        subprocess.run(["mknod", folder / f"nvidia{number}", "c", "1", "3"], check=True)
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder))
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu Type=pretended File={folder}/nvidia[0-1]\n")


def start(folder: Path) -> None:
    """Start munge, controller and node, and wait until the node is ready for jobs."""
    munge = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log"}
    options = [f"--{option}={folder / name}" for option, name in munge.items()]
    for command in (["munged", "--force", f"--seed-file={folder}/seed", *options], ["slurmctld", "-i"], ["slurmd"]):
        subprocess.run(command, check=True, capture_output=True)
    deadline = time.monotonic() + 30
    while "idle" not in told("sinfo", "--noheader", "--format=%T"):
        assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()[-2000:]
        time.sleep(0.2)


def stop(folder: Path) -> None:
    """Cancel all jobs, and end the daemons, in the order in which they need each other."""
    told("scancel", "--user=root")
    for name in ("slurmd", "slurmctld", "munged"):
        pid = folder / f"{name}.pid"
        if pid.exists() and pid.read_text().strip():
            process = int(pid.read_text())
            os.kill(process, signal.SIGTERM)
            deadline = time.monotonic() + 10
            while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
                time.sleep(0.1)


def told(*command: str) -> str:
    """What a command of SLURM prints; nothing if it fails."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def jobs() -> dict[int, dict[str, str]]:
    """All jobs that SLURM still knows: what `scontrol show job` says of each."""
    found = {}
    for text in told("scontrol", "--oneliner", "show", "job").splitlines():
        job = dict(re.findall(r"(\S+?)=(\S*)", text))
        if "JobId" in job:
            found[int(job["JobId"])] = job
    return found
