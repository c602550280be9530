"""ONNX export of a trained network, validated against PyTorch."""

from pathlib import Path

from topmass.commands.export_onnx import export_onnx
from topmass.console import stage
from topmass.limits import available_cores

if __name__ == "__main__":
    with stage("export_onnx", snakemake.log[0]):
        export_onnx(
            Path(snakemake.input.model),
            [Path(path) for path in snakemake.input.tables],
            Path(snakemake.input.statistics),
            Path(snakemake.input.metrics),
            Path(snakemake.output.dense),
            Path(snakemake.output.sparse),
            Path(snakemake.output.parity),
            Path(snakemake.output.preprocess),
            min(snakemake.threads, available_cores()),
        )
