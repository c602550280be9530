"""Download of one file."""

from pathlib import Path

from topmass.console import stage
from topmass.io.download import download

if __name__ == "__main__":
    with stage("download", snakemake.log[0]):
        download(
            snakemake.params.url,
            Path(snakemake.output.file),
            snakemake.params.checksum,
            snakemake.params.size,
        )
