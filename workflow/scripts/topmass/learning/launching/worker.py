"""One of several processes that train a network together; torch's launcher starts it."""

import json
import logging
import os
import sys

import torch
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from topmass.files import BadInput
from topmass.learning.device import find_device
from topmass.learning.resuming.interrupt import Interrupt
from topmass.learning.team import join_team
from topmass.learning.training.job import Job, run


def work() -> None:
    """Train with the job and the log that the command line names; what is wrong is told to the launcher."""
    content, log = sys.argv[1:]
    job = Job(**json.loads(content))
    listen(log)
    handler = get_error_handler()
    handler.initialize()
    with Interrupt().watching() as interrupt:
        try:
            device = own_device(find_device(job.compute["device"]))
            run(job, join_team(device), device, interrupt)
        except (BadInput, OSError) as error:
            handler.record_exception(error)
            # At once: to leave the team in order would mean to wait for processes that wait for this one.
            os._exit(1)
    torch.distributed.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process, one of those of this machine; or the CPU, which all share."""
    if device.type == "cpu":
        return device
    mine = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    find_device(str(mine))
    torch.cuda.set_device(mine)
    return mine


def listen(log: str) -> None:
    """Let messages go to the terminal and, as those of the stage, to its log."""
    logger = logging.getLogger("topmass")
    logger.setLevel(logging.INFO)
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter("train: %(message)s"))
    logger.handlers = [to_terminal]
    if log:
        to_file = logging.FileHandler(log, encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.handlers.append(to_file)
