"""Statistics of all jets of a dataset for preprocessing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.preprocessing.compute_statistics import measure_statistics
from topmass.preprocessing.flattening import bin_edges
from topmass.preprocessing.statistics import Statistics


def compute_statistics(
    tables: Sequence[Path],
    statistics: Path,
    sample: str,
    split: Mapping[str, float],
    layers: Sequence[str],
    scales: Mapping[str, float],
    scale_quantile: float,
    flatten_config: Mapping,
) -> None:
    """Write the scales of the layers and the flattening of the mass as JSON; see `topmass.preprocessing.statistics`.

    Args:
        tables: Jet tables of the sample.
        statistics: JSON file to write.
        sample: Name of the sample.
        split: Fractions of the splits.
        layers: Names of the layers.
        scales: Fixed scales by layer; the others are measured.
        scale_quantile: Quantile of the non-zero magnitudes of a layer that is its scale.
        flatten_config: `variables` to flatten ("mass", "pt"), range in GeV and number of bins of each, and `method`
            ("reject" or "weights").
    """
    found = measure_statistics(
        tables, sample, split, layers, scales, scale_quantile, *bin_edges(flatten_config),
        flatten_config["method"],
    )  # fmt: skip
    found.save(statistics)
    report(found)


def report(found: Statistics) -> None:
    """Log the scales, and one line per split."""
    log_info(
        f"scales: {', '.join(f'{name} {scale:.4g}' for name, scale in zip(found.layers, found.scales, strict=True))}"
    )
    if found.outside:
        log_info(f"{found.outside:,} jets outside the range of mass (or pT) are dropped")
    for name, kept in found.kept.items():
        flat = f"χ²/ndf against flat {kept['chi2'] / max(1, kept['degrees_of_freedom']):.2f}"
        log_info(f"{name}: {kept['jets']:,} of {found.jets[name]:,} jets kept ({kept['share']:.1%}), {flat}")


if __name__ == "__main__":
    with stage("compute_statistics", snakemake.log[0]):
        compute_statistics(
            [Path(table) for table in snakemake.input.tables],
            Path(snakemake.output.statistics),
            snakemake.params.sample,
            snakemake.params.split,
            snakemake.params.layers,
            snakemake.params.scales,
            snakemake.params.scale_quantile,
            snakemake.params.flatten,
        )
