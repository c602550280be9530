"""Worker process of a multi-process training, started by torch's launcher."""

import json
import logging
import os
import sys

import torch
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from topmass.console import add_log_handlers, describe, heartbeat
from topmass.device import find_device
from topmass.files import BadInput, resource_exhausted
from topmass.process_group import init_process_group
from topmass.training.run import TrainConfig, run_training
from topmass.training.signals import SignalHandler


def main() -> None:
    """Train with the configuration and log file of the command line, and report errors to the launcher."""
    content, log = sys.argv[1:]
    job = TrainConfig(**json.loads(content))
    add_log_handlers("train", log, "a")
    if os.environ["RANK"] != "0":
        logging.getLogger("topmass").setLevel(logging.WARNING)
    handler = get_error_handler()
    handler.initialize()
    with SignalHandler().watching() as interrupt, heartbeat():
        try:
            device = own_device(find_device(job.compute["device"]))
            run_training(job, init_process_group(device), device, interrupt)
        except Exception as error:
            if not (isinstance(error, BadInput | OSError) or resource_exhausted(error)):
                raise
            handler.record_exception(BadInput(describe(error)))
            # Exit immediately: an orderly shutdown would wait for processes that wait for this one.
            os._exit(1)
    torch.distributed.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """Return the GPU of this process (by local rank), or the CPU, which all processes share."""
    if device.type == "cpu":
        return device
    mine = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    find_device(str(mine))
    torch.cuda.set_device(mine)
    return mine
