"""A STAND-IN for an HTCondor pool, to run Snakemake's HTCondor plugin where there are no daemons.

Real are what HTCondor's Python package brings: the submit description, the job's ad, the match between it and a node's
ad, and the event log that the plugin reads. Stood in for are the schedd, the node and the starter: one node of 16
cores, 64 GB and two GPUs that does not exist; its jobs are run here, one after the other as far as cores go. It claims
no pool, limits no memory and knows no users.

    python condor_standin.py --executor htcondor ...        as `snakemake`
"""

import itertools
import os
import shlex
import subprocess
import sys
import threading
import time

# There is no pool to be configured; without this line the package warns of it.
os.environ.setdefault("CONDOR_CONFIG", "/dev/null")

import classad
import htcondor
import htcondor2

NODE = classad.ClassAd(
    {
        "Cpus": 16,
        "Memory": 64000,
        "Disk": 100_000_000,
        "GPUs": 2,
        "Arch": "X86_64",
        "OpSys": "LINUX",
        "MyType": "Machine",
    }
)
# Nodes share the file system here, but, as in many a pool, have no common name for it.
NODE["FileSystemDomain"] = "domain.of.the.stand-in.pool"
NODE["HasFileTransfer"] = True
NODE["CondorVersion"] = htcondor.version()
NODE["Requirements"] = classad.ExprTree(
    "TARGET.RequestCpus <= MY.Cpus && TARGET.RequestMemory <= MY.Memory && (TARGET.RequestGPUs ?: 0) <= MY.GPUs"
)
USAGE = "\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  {} {} Usage"
BYTES = "\t0  -  {} Bytes {} By Job"


def ended(status: int) -> str:
    """The text of the event of a job that has ended, in the form in which HTCondor's own reader wants it."""
    lines = ["Job terminated.", f"\t(1) Normal termination (return value {status})"]
    lines += [USAGE.format(when, where) for when in ("Run", "Total") for where in ("Remote", "Local")]
    lines += [BYTES.format(when, way) for when in ("Run", "Total") for way in ("Sent", "Received")]
    return "\n".join(lines)


class Submitted:
    """What a schedd says of a submission."""

    def __init__(self, number: int):
        self.number = number

    def cluster(self) -> int:
        return self.number


class StandInSchedd:
    """Takes submit descriptions, and runs their jobs on the node that does not exist."""

    numbers = itertools.count(1)
    writing = threading.Lock()

    def submit(self, description: htcondor2.Submit) -> Submitted:
        """Match the job with the node; run it, or hold it. Its ad is printed, for the tests."""
        number = next(self.numbers)
        # The plugin's version of the package cannot make the ad without a schedd; the one before it can.
        job = next(iter(htcondor.Submit(dict(description)).jobs(count=1, clusterid=number)))
        wanted = {name: job.eval(name) for name in ("RequestCpus", "RequestMemory", "RequestGPUs") if name in job}
        print(f"stand-in pool: job {number} asks for {wanted}", file=sys.stderr)
        self.on_signal(job, number, 0, "Job submitted from host: <127.0.0.1:0>")
        reason = ""
        if not job.symmetricMatch(NODE):
            reason = "no node of the stand-in pool meets the job's Requirements"
        elif job.get("TransferExecutable", True):
            reason = "a node of another file system domain would copy the Python away from its environment"
        if reason:
            self.on_signal(job, number, 12, f"Job was held.\n\t{reason}\n\tCode 0 Subcode 0")
        else:
            threading.Thread(target=self.run, args=(job, number), daemon=True).start()
        return Submitted(number)

    def run(self, job: classad.ClassAd, number: int) -> None:
        """Run the command of a job, in its folder, with its files for what it prints; hold it if it takes too long."""
        self.on_signal(job, number, 1, "Job executing on host: <127.0.0.1:0>")
        command = [job["Cmd"], *shlex.split(job.get("Args") or job.get("Arguments") or "")]
        with open(job["Out"], "w") as out, open(job["Err"], "w") as err:
            try:
                limit = job.get("AllowedExecuteDuration")
                status = subprocess.run(command, stdout=out, stderr=err, cwd=job["Iwd"], timeout=limit).returncode
            except subprocess.TimeoutExpired:
                reason = f"The job exceeded allowed execute duration of {limit} seconds"
                self.on_signal(job, number, 12, f"Job was held.\n\t{reason}\n\tCode 47 Subcode 0")
                return
        self.on_signal(job, number, 5, ended(status))

    def on_signal(self, job: classad.ClassAd, number: int, event: int, text: str) -> None:
        """Write an event to the job's log."""
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        with self.writing, open(job["UserLog"], "a") as log:
            log.write(f"{event:03d} ({number:04d}.000.000) {when} {text}\n...\n")

    def query(self, **_) -> list:
        """There is nothing to add to the event log."""
        return []

    history = query

    def act(self, *_) -> None:
        """Jobs end with this process."""


if __name__ == "__main__":
    htcondor2.Schedd = StandInSchedd
    htcondor2.Submit.issue_credentials = lambda description: None
    from snakemake.cli import main

    sys.exit(main())
