"""Several processes for one training, by torch's own elastic launcher, on this machine or together with others.

On one machine: `compute.processes` of the configuration, one a GPU. On several: start the same stage on each, with the
same TOPMASS_RENDEZVOUS=host:port (any free port of one of them), TOPMASS_NODES=<how many>, and folders that all of them
see. The variables of torchrun, PET_RDZV_ENDPOINT and PET_NNODES, are taken too. Only the first process writes.
"""

import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from torch.distributed.elastic.agent.server.api import SignalException
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from topmass.console import say
from topmass.files import BadInput
from topmass.learning.launching.meeting import find_meeting, nodes
from topmass.learning.resuming.interrupt import TRY_AGAIN, Interrupted, watched
from topmass.learning.training.job import Compute, Job

SCRIPTS = Path(__file__).parents[3]
START = f"import sys; sys.path.append({str(SCRIPTS)!r}); from topmass.learning.launching.worker import work; work()"
"""What a worker's Python is given: a program of its own, whatever the main program of this process is."""
BAD_INPUT = "BadInput: "
SECONDS_TO_END = 120
"""For workers that are asked to end: a step and a checkpoint. Those that wait for a lost one are killed then."""


def several(compute: Compute) -> bool:
    """Whether a training takes more than this process."""
    return compute.processes > 1 or nodes()[0] > 1


def launch(job: Job, log: Path | None) -> None:
    """Train in as many processes as the job's `compute` and the environment say; they add their lines to `log`."""
    meeting = find_meeting()
    if meeting.interface:
        # For gloo, which else asks what the name of this machine means; NCCL looks at the interfaces itself.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", meeting.interface)
    with TemporaryDirectory(prefix="topmass_") as folder, watched(end):
        config = LaunchConfig(
            min_nodes=meeting.machines,
            max_nodes=meeting.machines,
            nproc_per_node=Compute(**job.compute).processes,
            run_id=f"topmass-{job.network['name']}-{job.seed}",
            rdzv_backend="c10d",
            rdzv_endpoint=meeting.endpoint,
            rdzv_configs={} if meeting.here else {"is_host": False},
            local_addr=meeting.own,
            logs_specs=DefaultLogsSpecs(folder),
            max_restarts=0,
            shutdown_timeout=SECONDS_TO_END,
            signals_to_handle="SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
        )
        start(config, job, log)


def end(number: int, frame: object) -> None:
    """Handle a signal that comes before the launcher hands it on: no process trains yet."""
    say(f"ended on {signal.Signals(number).name} before the training began; run the same again")
    raise Interrupted


def start(config: LaunchConfig, job: Job, log: Path | None) -> None:
    """Start the workers and wait for them; Interrupted if they have been asked to end, BadInput with what they say."""
    try:
        elastic_launch(config, sys.executable)("-c", START, job.dump(), str(log or ""))
    except SignalException:
        # The launcher has handed the signal on, and waited for the checkpoint.
        raise Interrupted from None
    except RendezvousError as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise BadInput(f"{config.max_nodes} machines have not met at {config.rdzv_endpoint}: {why}") from None
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
