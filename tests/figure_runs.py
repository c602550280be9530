"""Stages that draw, called into a folder; for the tests of figures."""

from pathlib import Path

from topmass.figures.figure_containment import draw_containment
from topmass.figures.figure_history import draw_history
from topmass.figures.figure_images import draw_images
from topmass.figures.figure_intervals import draw_intervals
from topmass.figures.figure_largest_errors import draw_largest_errors
from topmass.figures.figure_layers import draw_layers
from topmass.figures.figure_masses import draw_masses
from topmass.figures.figure_metrics import draw_metrics
from topmass.figures.figure_predictions import draw_predictions
from topmass.plotting.style import draw_and_save

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]
FIGURES = {
    draw_images: ("average_images", "single_jets"),
    draw_masses: ("masses",),
    draw_history: ("loss", "errors"),
    draw_predictions: ("predicted", "spectrum", "median_error"),
    draw_containment: ("containment",),
    draw_intervals: ("intervals",),
    draw_metrics: ("response", "mean_errors", "resolution_map"),
    draw_layers: ("layer_values",),
    draw_largest_errors: ("largest_errors",),
}
"""The figures of each stage."""


def run(stage, given: dict, folder: Path, colours: list[str] = COLOURS) -> list[bytes]:
    """What the stage writes into a folder: of each figure the PNG, the PDF and the numbers."""
    files = {name: folder / f"{name}.png" for name in FIGURES[stage]}
    draw_and_save(stage, given, files, colours)
    return [file.with_suffix(kind).read_bytes() for file in files.values() for kind in (".png", ".pdf", ".csv")]


def run_twice(stage, given: dict, folder: Path) -> None:
    """Hold that the stage draws something, and the same bytes a second time."""
    first = run(stage, given, folder / "first")
    for png, pdf, csv in zip(first[::3], first[1::3], first[2::3], strict=True):
        assert png.startswith(b"\x89PNG") and pdf.startswith(b"%PDF") and min(len(png), len(pdf)) > 10_000
        assert csv.count(b"\n") > 3
    assert run(stage, given, folder / "second") == first
