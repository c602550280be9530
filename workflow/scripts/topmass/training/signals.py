"""Signal handling: write a checkpoint, then exit with `EX_TEMPFAIL`."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGHUP, signal.SIGINT)
"""Signals of batch systems before a time limit or a preemption, of a closed terminal, and of Ctrl-C.

The kernel repeats SIGXCPU each second between the soft and the hard limit of CPU time."""
EX_TEMPFAIL = 75
"""Exit status of an interrupted training (EX_TEMPFAIL of sysexits.h): run the same job again to resume."""


class TrainingInterrupted(SystemExit):
    """Exit of a training that was asked to stop and has written its checkpoint."""

    def __init__(self) -> None:
        super().__init__(EX_TEMPFAIL)


def available_signals() -> list[signal.Signals]:
    """Return `SIGNALS`, except those that the parent process set to be ignored, as `nohup` does."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def install_handler(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Pass `SIGNALS` to a handler in this context; if one was received, ignore them afterwards."""
    stopping = False

    def record(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True
        handler(number, frame)

    before = {number: signal.signal(number, record) for number in available_signals()}
    try:
        yield
    except TrainingInterrupted:
        stopping = True
        raise
    finally:
        # A repeated signal must not change the exit status.
        for number, previous in before.items():
            signal.signal(number, signal.SIG_IGN if stopping else previous)


class SignalHandler:
    """Record of a signal, until the training reaches a point where it can stop."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def on_signal(self, number: int, frame: object) -> None:
        """Record a signal."""
        self.received = signal.Signals(number)
