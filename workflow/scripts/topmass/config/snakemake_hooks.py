"""Adjustments of Snakemake: a brief log, and metadata of outputs that is stored with the results.

Snakemake compares settings, inputs and code with a record that it writes for each output. It accepts an output without
a record. Results copied without `.snakemake` would thus be treated as results of any configuration.
"""

import logging
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copytree, rmtree

from snakemake_interface_logger_plugins.common import LogEvent

from topmass.files import BadInput, file_digest

METADATA = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")
STORED = Path("results/metadata")
HIDDEN_EVENTS = {LogEvent.JOB_INFO, LogEvent.GROUP_INFO, LogEvent.JOB_STARTED}
HIDDEN_TEXTS = (
    *("Assuming unrestricted shared filesystem", "Building DAG", "Conda environments: ignored", "Using shell"),
    *("Rules claiming more threads", "Select jobs to execute"),
)
"""Beginnings of messages that are not printed."""


def install_brief_log() -> None:
    """Print finished jobs, warnings and errors only; stages print their own progress.

    Snakemake's complete log is in `.snakemake/log/`. Logger plugins are not affected.
    """

    def is_printed(record: logging.LogRecord) -> bool:
        return getattr(record, "event", None) not in HIDDEN_EVENTS and not str(record.msg).startswith(HIDDEN_TEXTS)

    for handler in logging.getLogger("snakemake.logging").handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(is_printed)


def store_with_results() -> None:
    """Redirect Snakemake's metadata to results/metadata, so that a copy of the results includes it.

    Existing metadata moves there, unless the results already contain their own.

    Raises:
        BadInput: If `results` is a broken link.
    """
    if (results := STORED.parent).is_symlink() and not results.exists():
        raise BadInput(f"{results}: a link to {results.readlink()}, which does not exist: make that folder")
    if METADATA.is_dir() and not METADATA.is_symlink():
        if not STORED.exists():
            # The rename is atomic: the folder is complete or absent if the process is killed.
            part = STORED.with_suffix(".part")
            rmtree(part, ignore_errors=True)
            copytree(METADATA, part)
            part.rename(STORED)
        rmtree(METADATA)
    STORED.mkdir(parents=True, exist_ok=True)
    if not METADATA.is_symlink():
        # Without `incomplete`, Snakemake treats the metadata as that of an older Snakemake version.
        INCOMPLETE.mkdir(parents=True, exist_ok=True)
        METADATA.symlink_to(Path("..", STORED))


def recorded(folder: Path) -> Iterator[str]:
    """Yield outputs with a record in a folder of Snakemake, whose file names are base64 pieces of output paths."""
    for path in folder.rglob("*"):
        name = "".join(piece.removeprefix("@") for piece in path.relative_to(folder).parts)
        # Not every file is a record: NFS creates files of its own.
        with suppress(ValueError):
            yield urlsafe_b64decode(name).decode()


def refuse_unrecorded(patterns: Iterable[str]) -> None:
    """Check that each file that matches an output's pattern with {wildcards} has a record.

    Outputs of an interrupted job are exempt, since Snakemake recreates them.

    Raises:
        BadInput: If a file has no record.
    """
    outputs = {str(path) for pattern in patterns for path in Path().glob(re.sub(r"{[^}]*}", "*", pattern))}
    if missing := sorted(outputs - {*recorded(METADATA), *recorded(INCOMPLETE)}):
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        copy = f"copy {STORED} from where the results are from"
        accept = "accept them as made with this configuration: snakemake --touch --forceall"
        fix = f"to fix: {copy}, or remove the results, or {accept}"
        raise BadInput(f"{missing[0]}{more}: no record of its settings in {STORED}; {fix}")


def outdated_files(model: Path, files: Iterable[Path]) -> list[Path]:
    """Return the existing files that do not contain the model's digest; all of them without a model."""
    digest = file_digest(model) if model.exists() else None
    return [path for path in files if path.exists() and not (digest and digest in path.read_text(encoding="utf-8"))]
