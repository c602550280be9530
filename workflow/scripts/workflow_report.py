"""Snakemake's report of this workflow."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from topmass.console import log_info, stage
from topmass.files import BadInput, atomic_write


def write_workflow_report(page: Path, snakefile: Path, config: Mapping) -> None:
    """Write Snakemake's report on the target `results` of the workflow in the working directory.

    Args:
        page: HTML file to write.
        snakefile: Snakefile of the workflow.
        config: Configuration of the run.

    Raises:
        BadInput: Snakemake failed.
    """
    # The target `results` needs no section `predict`, and Snakemake would refuse it: it is already complete.
    config = {**config, "predict": None}
    # Snakemake derives the kind of report from the file ending. The temporary configuration file has no name, so a
    # kill leaves nothing behind.
    with tempfile.TemporaryFile("w", encoding="utf-8") as configfile, atomic_write(page, ending=".html") as part:
        json.dump(config, configfile)
        configfile.flush()
        command = [sys.executable, "-m", "snakemake", "results", "--snakefile", snakefile]
        # The workflow that runs this script has locked the folder.
        command += ["--configfile", "/dev/stdin", "--report", part, "--nolock"]
        # Without UTF-8 mode, Snakemake reads the rules in the encoding of the locale.
        options = {"env": os.environ | {"PYTHONUTF8": "1"}, "encoding": "utf-8", "errors": "replace"}
        completed = subprocess.run(command, stdin=configfile, capture_output=True, **options)
        if completed.returncode:
            raise BadInput(f"snakemake --report failed: {' '.join(completed.stderr.split())[-500:]}")
    log_info(f"{page}, {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    with stage("workflow_report", snakemake.log[0]):
        write_workflow_report(Path(snakemake.output[0]), Path(snakemake.params.snakefile), snakemake.config)
