"""Signals that ask a training to end: it writes a checkpoint first, and leaves with a status that says: go on later."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""What SLURM and HTCondor send before the end of a job's time or a preemption, and Ctrl-C."""
TRY_AGAIN = 75
"""Exit status of a training that was asked to end (EX_TEMPFAIL of sysexits.h): run the same job again to go on."""


@contextmanager
def watched(handler: Callable[[int, object], None]) -> Iterator[None]:
    """In this block the signals do nothing but to be given to a handler."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupt:
    """Remembers a signal until the training is at a place where it can stop."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def note(self, number: int, frame: object) -> None:
        """Handle a signal."""
        self.received = signal.Signals(number)

    @contextmanager
    def watching(self) -> Iterator["Interrupt"]:
        """In this block the signals are remembered."""
        with watched(self.note):
            yield self


class Interrupted(SystemExit):
    """A training has ended because it was asked to; its checkpoint is written."""

    def __init__(self) -> None:
        super().__init__(TRY_AGAIN)
