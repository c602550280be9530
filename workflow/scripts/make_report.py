"""Have Snakemake make its report of this very workflow."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from topmass.console import say, stage
from topmass.files import BadInput, whole


def make_report(page: Path, snakefile: Path, config: Mapping) -> None:
    """Write the report on the target `results` of the workflow in this folder, with this configuration."""
    # Snakemake tells the kind of report from the ending. The configuration has no name: a kill leaves nothing of it.
    with tempfile.TemporaryFile("w", encoding="utf-8") as configfile, whole(page, ending=".html") as part:
        json.dump(config, configfile)
        configfile.flush()
        command = [sys.executable, "-m", "snakemake", "results", "--snakefile", snakefile]
        # The folder is locked by the workflow that runs this.
        command += ["--configfile", "/dev/stdin", "--report", part, "--nolock"]
        # Snakemake reads the code of the rules in the encoding of the locale.
        told = {"env": os.environ | {"PYTHONUTF8": "1"}, "encoding": "utf-8", "errors": "replace"}
        ended = subprocess.run(command, stdin=configfile, capture_output=True, **told)
        if ended.returncode:
            raise BadInput(f"snakemake --report failed: {' '.join(ended.stderr.split())[-500:]}")
    say(f"{page}, {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    with stage("workflow_report", snakemake.log[0]):
        make_report(Path(snakemake.output[0]), Path(snakemake.params.snakefile), snakemake.config)
