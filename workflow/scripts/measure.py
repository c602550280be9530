"""Measure what preprocessing needs to know of all jets of a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from topmass.console import say, stage
from topmass.preprocessing.measuring import measure_all
from topmass.preprocessing.statistics import Statistics
from topmass.preprocessing.unbias import edges_of


def measure(
    tables: Sequence[Path],
    statistics: Path,
    sample: str,
    split: Mapping[str, float],
    layers: Sequence[str],
    scales: Mapping[str, float],
    scale_quantile: float,
    unbias: Mapping,
) -> None:
    """Write the scales of the layers and the flattening of the mass, as JSON; see `topmass.preprocessing.statistics`.

    `unbias` has the variables to flatten (`by`, of "mass" and "pt"), for each its range in GeV and number of bins, and
    the `method`, "reject" or "weights".
    """
    found = measure_all(
        tables, sample, split, layers, scales, scale_quantile, *edges_of(unbias),
        unbias["method"], lambda paths: tqdm(paths, "statistics", unit="block", disable=None),
    )  # fmt: skip
    found.save(statistics)
    report(found)


def report(found: Statistics) -> None:
    """Say what was found, in a line for each split."""
    say(f"scales: {', '.join(f'{name} {scale:.4g}' for name, scale in zip(found.layers, found.scales, strict=True))}")
    if found.outside:
        say(f"{found.outside:,} jets outside the range of mass (or pT) are dropped")
    for name, kept in found.kept.items():
        flat = f"χ²/ndf against flat {kept['chi2'] / max(1, kept['degrees_of_freedom']):.2f}"
        say(f"{name}: {kept['jets']:,} of {found.jets[name]:,} jets kept ({kept['share']:.1%}), {flat}")


if __name__ == "__main__":
    with stage("statistics", snakemake.log[0]):
        measure(
            [Path(table) for table in snakemake.input.tables],
            Path(snakemake.output.statistics),
            snakemake.params.sample,
            snakemake.params.split,
            snakemake.params.layers,
            snakemake.params.scales,
            snakemake.params.scale_quantile,
            snakemake.params.unbias,
        )
