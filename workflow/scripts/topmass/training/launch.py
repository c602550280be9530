"""Multi-process training with torch's elastic launcher, on one or several machines.

On one machine, `compute.processes` of the configuration sets the number of processes, one per GPU. On several
machines, start the same stage on each, with folders that all of them share. Set TOPMASS_RENDEZVOUS=host:port (any free
port of one of them) and TOPMASS_NODES=<number of machines> to the same values everywhere. The variables of torchrun,
PET_RDZV_ENDPOINT and PET_NNODES, are accepted too. Only rank 0 writes.
"""

import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
import torch
from torch.distributed.elastic.agent.server.api import SignalException
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure, get_error_handler
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from topmass.console import active_progress, add_log_handlers, describe, heartbeat, log_info
from topmass.device import find_device
from topmass.files import BadInput, resource_exhausted
from topmass.process_group import init_process_group
from topmass.training.run import ComputeConfig, TrainConfig, run_training
from topmass.training.signals import EX_TEMPFAIL, SignalHandler, TrainingInterrupted, available_signals, install_handler

SCRIPTS = Path(__file__).parents[2]
WORKER_CODE = f"import sys; sys.path.append({str(SCRIPTS)!r}); from topmass.training.launch import worker; worker()"
"""Python code of a worker, independent of the main program of this process."""
BAD_INPUT = "BadInput: "
SHUTDOWN_SECONDS = 120
"""Time for workers to stop: one step and a checkpoint. Workers that wait for a lost one are killed after this time."""
LOOPBACK = "127.0.0.1"
TORCHRUN_PORT = 29400
"""Default port of torchrun."""


def node_count_and_address() -> tuple[int, str]:
    """Return the number of machines and the rendezvous address from the environment.

    Raises:
        BadInput: The number is invalid, or only one of the two is set.
    """
    address = os.environ.get("TOPMASS_RENDEZVOUS") or os.environ.get("PET_RDZV_ENDPOINT") or ""
    number = os.environ.get("TOPMASS_NODES") or os.environ.get("PET_NNODES") or ("" if address else "1")
    if not number.isdecimal() or int(number) < 1 or (int(number) > 1 and not address):
        raise BadInput("several machines need TOPMASS_RENDEZVOUS=host:port and TOPMASS_NODES=their number, both")
    return int(number), address


def rendezvous_arguments() -> dict:
    """Return the arguments of `LaunchConfig` for the rendezvous of all machines, without hostname resolution.

    Also selects the network interface to the other machines, unless the user has set GLOO_SOCKET_IFNAME.

    Raises:
        BadInput: The environment is incomplete, or the address cannot be reached.
    """
    machines, address = node_count_and_address()
    arguments = {"min_nodes": machines, "max_nodes": machines, "rdzv_backend": "c10d"}
    if machines == 1:
        # Any free local port.
        return arguments | {"rdzv_endpoint": f"{LOOPBACK}:0", "local_addr": LOOPBACK}
    try:
        url = urlsplit(f"//{address}")
        host, port = url.hostname or "", url.port or TORCHRUN_PORT
        family, kind, *_, remote = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            # This sends nothing: `connect` only selects the address from which this machine would reach the other.
            probe.connect(remote)
            local = probe.getsockname()[0]
    except (ValueError, OSError) as error:
        raise BadInput(f"TOPMASS_RENDEZVOUS={address}: not a host:port that can be reached ({error})") from None
    if not ipaddress.ip_address(local).is_loopback:
        for interface, addresses in psutil.net_if_addrs().items():
            if local in {entry.address for entry in addresses}:
                # For gloo, which otherwise resolves the hostname of this machine. NCCL searches the interfaces itself.
                os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
                break
    if local == remote[0] or ipaddress.ip_address(remote[0]).is_loopback:
        # The others reach this machine by the host of the endpoint. Torch would use this machine's hostname.
        return arguments | {"rdzv_endpoint": f"{LOOPBACK}:{port}", "local_addr": host}
    return arguments | {"rdzv_endpoint": f"{host}:{port}", "local_addr": local, "rdzv_configs": {"is_host": False}}


def launch_workers(config: TrainConfig, log: Path | None) -> None:
    """Train in as many processes as `config.compute` and the environment specify; the workers append to `log`.

    Raises:
        BadInput: The rendezvous fails, or a worker reports bad input.
        TrainingInterrupted: A signal was received.
    """
    rendezvous = rendezvous_arguments()
    with TemporaryDirectory(prefix="topmass_") as folder, install_handler(on_early_signal):
        launch = LaunchConfig(
            nproc_per_node=ComputeConfig(**config.compute).processes,
            run_id=f"topmass-{config.network['name']}-{config.seed}",
            logs_specs=DefaultLogsSpecs(folder),
            max_restarts=0,
            shutdown_timeout=SHUTDOWN_SECONDS,
            # SIGQUIT stops the workers without a checkpoint. If it were not handled, they would outlive this process.
            signals_to_handle=",".join(number.name for number in (*available_signals(), signal.SIGQUIT)),
            **rendezvous,
        )
        # Rank 0 prints the progress: the heartbeat of this process prints nothing.
        active_progress.append(lambda: None)
        try:
            elastic_launch(launch, sys.executable)("-c", WORKER_CODE, config.dump(), str(log or ""))
        except SignalException:
            # The launcher has forwarded the signal and waited for the checkpoint.
            raise TrainingInterrupted from None
        except RendezvousError as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            message = f"{launch.max_nodes} machines have not met at {launch.rdzv_endpoint}: {reason}"
            raise BadInput(message) from None
        except ChildFailedError as error:
            failures = list(error.failures.values())
            for message in map(failure_message, failures):
                if message.startswith(BAD_INPUT):
                    raise BadInput(message.removeprefix(BAD_INPUT)) from None
            if any(failure.exitcode == EX_TEMPFAIL for failure in failures):
                raise TrainingInterrupted from None
            raise
        finally:
            active_progress.pop()


def on_early_signal(number: int, frame: object) -> None:
    """Handle a signal that arrives before any process trains and the launcher forwards signals."""
    log_info(f"stopped on {signal.Signals(number).name} before the training started; run the same again")
    raise TrainingInterrupted


def failure_message(failure: ProcessFailure) -> str:
    """Return the error that a worker recorded, or else the launcher's message."""
    content = failure.message
    return str(content.get("message", content) if isinstance(content, dict) else content)


def worker() -> None:
    """Train with the configuration and log file of the command line, and report errors to the launcher."""
    content, log = sys.argv[1:]
    config = TrainConfig(**json.loads(content))
    add_log_handlers("train", log, "a")
    if os.environ["RANK"] != "0":
        logging.getLogger("topmass").setLevel(logging.WARNING)
    handler = get_error_handler()
    handler.initialize()
    interrupt = SignalHandler()
    with install_handler(interrupt.on_signal), heartbeat():
        try:
            device = find_device(config.compute["device"])
            if device.type == "cuda":
                device = find_device(f"cuda:{os.environ['LOCAL_RANK']}")
                torch.cuda.set_device(device)
            run_training(config, init_process_group(device), device, interrupt)
        except Exception as error:
            if not (isinstance(error, BadInput | OSError) or resource_exhausted(error)):
                raise
            handler.record_exception(BadInput(describe(error)))
            # Exit immediately: an orderly shutdown would wait for processes that wait for this one.
            os._exit(1)
    torch.distributed.destroy_process_group()
