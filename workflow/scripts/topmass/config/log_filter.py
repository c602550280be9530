"""Brief log of Snakemake: one line per finished job, plus warnings and errors.

Stages log their own progress; Snakemake's complete log is in `.snakemake/log/`.
"""

import logging
import re
import time

from snakemake_interface_logger_plugins.common import LogEvent

from topmass.config.time_left import TimeLeft

WIDTH = 20
"""Width of the progress bar in characters."""
TO_BE_DONE = (LogEvent.JOB_INFO, LogEvent.GROUP_INFO)
"""Events that announce jobs; suppressed in a dry run, whose table lists the jobs."""
ON_THE_WAY = (*TO_BE_DONE, LogEvent.JOB_STARTED, LogEvent.RUN_INFO)
NOISE = (
    *("Assuming unrestricted shared filesystem", "Building DAG", "Conda environments: ignored", "Using shell"),
    *("Rules claiming more threads", "Select jobs to execute"),
)
"""Beginnings of uninformative lines."""


class BriefFilter(logging.Formatter):
    """Filter and formatter that suppresses uninformative records and prints one line per finished job."""

    def __init__(self, full: logging.Formatter, dry: bool) -> None:
        super().__init__()
        self.full, self.quiet_about = full, TO_BE_DONE if dry else ON_THE_WAY
        self.done: list[str] = []
        self.time_left = TimeLeft()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print a record; finished jobs are printed with the progress record that follows."""
        event, text = getattr(record, "event", None), str(record.msg)
        self.time_left.follow(record)
        if event is LogEvent.JOB_FINISHED:
            self.done.append(re.sub(r".*\(Rule: (\w+)\).*", r"\1", text))
            return False
        return event not in self.quiet_about and not text.startswith(NOISE)

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        if getattr(record, "event", None) is not LogEvent.PROGRESS:
            return self.full.format(record)
        names, self.done = ", ".join(self.done), []
        return f"{time.strftime('%H:%M:%S')} {bar(record.done, record.total)} {names}{self.left(record)}"

    def left(self, record: logging.LogRecord) -> str:
        """Return the estimated time left as text; empty if all jobs are done."""
        if record.done >= record.total:
            return ""
        seconds = self.time_left.seconds()
        return f"; about {seconds / 60:,.0f} min left" if seconds >= 60 else "; less than a minute left"


def bar(done: int, total: int) -> str:
    """Return a progress bar in ASCII, which every terminal can display."""
    full = WIDTH * done // total
    return f"[{'#' * full}{'.' * (WIDTH - full)}] {done} of {total}"


def install_log_filter() -> None:
    """Install the brief log in Snakemake's default handler; logger plugins are not affected."""
    for handler in logging.getLogger("snakemake.logging").handlers:
        if handler.name == "DefaultStreamHandler":
            brief = BriefFilter(handler.formatter, dry=any(getattr(each, "dryrun", False) for each in handler.filters))
            # Inserted first, because it counts records that other filters may drop.
            handler.filters.insert(0, brief)
            handler.setFormatter(brief)
