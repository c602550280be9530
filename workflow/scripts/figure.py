"""Figures of one module of `topmass.figures`."""

from importlib import import_module
from pathlib import Path

from topmass.console import stage

if __name__ == "__main__":
    family = snakemake.params.family
    with stage(f"figure_{family}", snakemake.log[0]):
        inputs = {
            name: Path(paths) if isinstance(paths, str) else [Path(path) for path in paths]
            for name, paths in snakemake.input.items()
        }
        # The first file of a figure is its PNG; PDF and CSV are saved next to it.
        outputs = {name: Path(paths[0]) for name, paths in snakemake.output.items()}
        settings = {name: value for name, value in snakemake.params.items() if name not in ("family", "code")}
        draw = getattr(import_module(f"topmass.figures.figure_{family}"), f"draw_{family}")
        draw(**inputs, **outputs, **settings)
