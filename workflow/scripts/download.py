"""Download one file."""

from pathlib import Path

from topmass.console import stage
from topmass.sources.remote import Patience
from topmass.sources.transfer import fetch

PATIENT = Patience()


def download(
    url: str, file: Path, checksum: str | None = None, size: int | None = None, patience: Patience = PATIENT
) -> None:
    """Bring what is at `url` to `file`, checked; see `topmass.sources.transfer.fetch`.

    `checksum` is `sha256:`, `md5:` or `adler32:` and its digits, `size` in bytes.
    """
    fetch(url, file, checksum, size, patience)


if __name__ == "__main__":
    with stage("download", snakemake.log[0]):
        download(
            snakemake.params.url,
            Path(snakemake.output.file),
            snakemake.params.checksum,
            snakemake.params.size,
        )
