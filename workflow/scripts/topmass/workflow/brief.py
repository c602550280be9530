"""What Snakemake says of a run: a line for each job that is done, and whatever is wrong.

What a stage does, it says itself; Snakemake's own account is whole in `.snakemake/log/`.
"""

import logging
import re
import time

from snakemake_interface_logger_plugins.common import LogEvent

WIDTH = 20
"""Of the bar, in letters."""
TO_BE_DONE = (LogEvent.JOB_INFO, LogEvent.GROUP_INFO)
"""What will run. Of a dry run the table has it."""
ON_THE_WAY = (*TO_BE_DONE, LogEvent.JOB_STARTED, LogEvent.RUN_INFO)
NOISE = (
    *("Assuming unrestricted shared filesystem", "Building DAG", "Conda environments: ignored", "Using shell"),
    *("Rules claiming more threads", "Select jobs to execute"),
)
"""How lines begin that tell nobody anything."""


class Brief(logging.Formatter):
    """Filter and formatter: lets through what is worth a line, and makes one of a job that is done."""

    def __init__(self, full: logging.Formatter, dry: bool) -> None:
        super().__init__()
        self.full, self.quiet_about = full, TO_BE_DONE if dry else ON_THE_WAY
        self.start = time.monotonic()
        self.done: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is worth a line. The end of a job is not: how far the whole is comes with it."""
        event, text = getattr(record, "event", None), str(record.msg)
        if event is LogEvent.JOB_FINISHED:
            self.done.append(re.sub(r".*\(Rule: (\w+)\).*", r"\1", text))
            return False
        return event not in self.quiet_about and not text.startswith(NOISE)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        if getattr(record, "event", None) is not LogEvent.PROGRESS:
            return self.full.format(record)
        names, self.done = ", ".join(self.done), []
        return f"{time.strftime('%H:%M:%S')} {bar(record.done, record.total)} {names}{self.left(record)}"

    def left(self, record: logging.LogRecord) -> str:
        """What the other jobs will take if they are like those so far."""
        if record.done >= record.total:
            return ""
        seconds = (time.monotonic() - self.start) * (record.total / record.done - 1)
        return f"; about {seconds / 60:,.0f} min left" if seconds >= 60 else "; less than a minute left"


def bar(done: int, total: int) -> str:
    """How much of the whole is done; in letters that every terminal has."""
    full = WIDTH * done // total
    return f"[{'#' * full}{'.' * (WIDTH - full)}] {done} of {total}"


def be_brief() -> None:
    """Let Snakemake say no more than that, where it speaks by itself and not through a plugin."""
    for handler in logging.getLogger("snakemake.logging").handlers:
        if handler.name == "DefaultStreamHandler":
            brief = Brief(handler.formatter, dry=any(getattr(each, "dryrun", False) for each in handler.filters))
            handler.addFilter(brief)
            handler.setFormatter(brief)
