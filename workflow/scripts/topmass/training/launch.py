"""Multi-process training with torch's elastic launcher, on one or several machines.

On one machine, `compute.processes` of the configuration sets the number of processes, one per GPU. On several
machines, start the same stage on each, with folders that all of them share. Set TOPMASS_RENDEZVOUS=host:port (any free
port of one of them) and TOPMASS_NODES=<number of machines> to the same values everywhere. The variables of torchrun,
PET_RDZV_ENDPOINT and PET_NNODES, are accepted too. Only rank 0 writes.
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

from topmass.console import doing, log_info
from topmass.files import BadInput
from topmass.training.rendezvous import find_rendezvous, node_count_and_address
from topmass.training.run import ComputeConfig, TrainConfig
from topmass.training.signals import EX_TEMPFAIL, TrainingInterrupted, available_signals, install_handler

SCRIPTS = Path(__file__).parents[2]
START = f"import sys; sys.path.append({str(SCRIPTS)!r}); from topmass.training.worker import main; main()"
"""Python code of a worker, independent of the main program of this process."""
BAD_INPUT = "BadInput: "
SECONDS_TO_END = 120
"""Time for workers to stop: one step and a checkpoint. Workers that wait for a lost one are killed after it."""


def is_distributed(compute: ComputeConfig) -> bool:
    """Return whether a training uses more than this process."""
    return compute.processes > 1 or node_count_and_address()[0] > 1


def launch_workers(job: TrainConfig, log: Path | None) -> None:
    """Train in as many processes as `job.compute` and the environment specify.

    Args:
        job: Configuration of the training.
        log: Log file to which the workers append; None for none.

    Raises:
        BadInput: The rendezvous fails, or a worker reports bad input.
        TrainingInterrupted: A signal was received.
    """
    meeting = find_rendezvous()
    if meeting.interface:
        # For gloo, which otherwise resolves the hostname of this machine. NCCL searches the interfaces itself.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", meeting.interface)
    with TemporaryDirectory(prefix="topmass_") as folder, install_handler(on_early_signal):
        config = LaunchConfig(
            min_nodes=meeting.machines,
            max_nodes=meeting.machines,
            nproc_per_node=ComputeConfig(**job.compute).processes,
            run_id=f"topmass-{job.network['name']}-{job.seed}",
            rdzv_backend="c10d",
            rdzv_endpoint=meeting.endpoint,
            rdzv_configs={} if meeting.here else {"is_host": False},
            local_addr=meeting.own,
            logs_specs=DefaultLogsSpecs(folder),
            max_restarts=0,
            shutdown_timeout=SECONDS_TO_END,
            # SIGQUIT stops the workers without a checkpoint. If it were not handled, they would outlive this process.
            signals_to_handle=",".join(number.name for number in (*available_signals(), signal.SIGQUIT)),
        )
        run_workers(config, job, log)


def on_early_signal(number: int, frame: object) -> None:
    """Handle a signal that arrives before any process trains and the launcher forwards signals."""
    log_info(f"ended on {signal.Signals(number).name} before the training began; run the same again")
    raise TrainingInterrupted


def run_workers(config: LaunchConfig, job: TrainConfig, log: Path | None) -> None:
    """Start the workers and wait for them.

    Raises:
        BadInput: The machines do not meet, or a worker reports bad input.
        TrainingInterrupted: The workers were asked to stop.
    """
    # Rank 0 prints the progress.
    doing.append(lambda: None)
    try:
        elastic_launch(config, sys.executable)("-c", START, job.dump(), str(log or ""))
    except SignalException:
        # The launcher has forwarded the signal and waited for the checkpoint.
        raise TrainingInterrupted from None
    except RendezvousError as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise BadInput(f"{config.max_nodes} machines have not met at {config.rdzv_endpoint}: {why}") from None
    except ChildFailedError as error:
        failures = list(error.failures.values())
        for message in map(failure_message, failures):
            if message.startswith(BAD_INPUT):
                raise BadInput(message.removeprefix(BAD_INPUT)) from None
        if any(failure.exitcode == EX_TEMPFAIL for failure in failures):
            raise TrainingInterrupted from None
        raise
    finally:
        doing.pop()


def failure_message(failure: ProcessFailure) -> str:
    """Return the error that a worker recorded, or else the launcher's message."""
    content = failure.message
    return str(content.get("message", content) if isinstance(content, dict) else content)
