"""Several processes for one training, by torch's own elastic launcher, on this machine or together with others.

On one machine: `compute.processes` of the configuration, one a GPU. On several: start the same stage on each, with the
same TOPMASS_RENDEZVOUS=host:port (any free port of one of them), TOPMASS_NODES=<how many>, and folders that all of them
see. The variables of torchrun, PET_RDZV_ENDPOINT and PET_NNODES, are taken too. Only the first process writes.
"""

import os
import sys
from pathlib import Path

from torch.distributed.elastic.agent.server.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from topmass.files import BadInput
from topmass.learning.resuming.interrupt import TRY_AGAIN, Interrupted
from topmass.learning.training.job import Compute, Job

SCRIPTS = Path(__file__).parents[3]
START = f"import sys; sys.path.append({str(SCRIPTS)!r}); from topmass.learning.launching.worker import work; work()"
"""What a worker's Python is given: a program of its own, whatever the main program of this process is."""
BAD_INPUT = "BadInput: "
SECONDS_TO_END = 120
"""For workers that are asked to end: a step and a checkpoint. Those that wait for a lost one are killed then."""


def nodes() -> tuple[int, str]:
    """Number of machines that train together, and the address where they meet; BadInput if one is given alone."""
    address = os.environ.get("TOPMASS_RENDEZVOUS") or os.environ.get("PET_RDZV_ENDPOINT") or ""
    number = os.environ.get("TOPMASS_NODES") or os.environ.get("PET_NNODES") or ("" if address else "1")
    if not number.isdecimal() or int(number) < 1 or (int(number) > 1 and not address):
        raise BadInput("several machines need TOPMASS_RENDEZVOUS=host:port and TOPMASS_NODES=their number, both")
    return int(number), address


def several(compute: Compute) -> bool:
    """Whether a training takes more than this process."""
    return compute.processes > 1 or nodes()[0] > 1


def launch(job: Job, log: Path | None) -> None:
    """Train in as many processes as the job's `compute` and the environment say; they add their lines to `log`."""
    number, address = nodes()
    config = LaunchConfig(
        min_nodes=number,
        max_nodes=number,
        nproc_per_node=Compute(**job.compute).processes,
        run_id=f"topmass-{job.network}-{job.seed}",
        rdzv_backend="c10d",
        rdzv_endpoint=address or "localhost:0",
        max_restarts=0,
        shutdown_timeout=SECONDS_TO_END,
        signals_to_handle="SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
    )
    try:
        elastic_launch(config, sys.executable)("-c", START, job.dump(), str(log or ""))
    except SignalException:
        # The launcher has handed the signal on, and waited for the checkpoint.
        raise Interrupted from None
    except ChildFailedError as error:
        failures = list(error.failures.values())
        for message in map(told, failures):
            if message.startswith(BAD_INPUT):
                raise BadInput(message.removeprefix(BAD_INPUT)) from None
        if any(failure.exitcode == TRY_AGAIN for failure in failures):
            raise Interrupted from None
        raise


def told(failure: ProcessFailure) -> str:
    """What a worker has recorded of its end, or the launcher's words where it has recorded nothing."""
    content = failure.message
    return str(content.get("message", content) if isinstance(content, dict) else content)
