"""Statistics of all jets of a dataset for preprocessing."""

from pathlib import Path

from topmass.console import stage
from topmass.preprocessing.compute_statistics import compute_statistics

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
            snakemake.params.target,
        )
