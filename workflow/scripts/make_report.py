"""Have Snakemake make its report of this very workflow."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from topmass.console import say, stage
from topmass.files import BadInput, whole


def make_report(page: Path, snakefile: Path, config: Mapping) -> None:
    """Write the report on the target `results` of the workflow in this folder, with this configuration."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as configfile, whole(page) as part:
        json.dump(config, configfile)
        configfile.flush()
        # Snakemake tells the kind of report from the ending; the folder is locked by the workflow that runs this.
        made = part.with_suffix(".html")
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "results",
            "--snakefile",
            snakefile,
            "--configfile",
            configfile.name,
        ]
        ended = subprocess.run([*command, "--report", made, "--nolock"], capture_output=True, text=True)
        if ended.returncode:
            raise BadInput(f"snakemake --report failed: {' '.join(ended.stderr.split())[-500:]}")
        made.rename(part)
    say(f"{page}, {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    with stage("workflow_report", snakemake.log[0]):
        make_report(Path(snakemake.output[0]), Path(snakemake.params.snakefile), snakemake.config)
