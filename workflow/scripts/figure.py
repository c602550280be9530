"""Figures of one module of `topmass.figures`."""

from importlib import import_module
from pathlib import Path

from topmass.console import stage
from topmass.plotting.style import draw_and_save

OTHER_PARAMS = ("family", "colours", "code")
"""Parameters of the rule that are no arguments of the drawing function."""

if __name__ == "__main__":
    family = snakemake.params.family
    with stage(f"figure_{family}", snakemake.log[0]):
        inputs = {
            name: Path(paths) if isinstance(paths, str) else [Path(path) for path in paths]
            for name, paths in snakemake.input.items()
        }
        settings = {name: value for name, value in snakemake.params.items() if name not in OTHER_PARAMS}
        # The first file of a figure is its PNG; PDF and CSV are saved next to it.
        files = {name: Path(paths[0]) for name, paths in snakemake.output.items()}
        draw = getattr(import_module(f"topmass.figures.figure_{family}"), f"draw_{family}")
        draw_and_save(draw, inputs | settings, files, snakemake.params.colours)
