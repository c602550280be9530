"""Figures that compare the errors of all experiments."""

from collections.abc import Sequence
from pathlib import Path

from topmass.evaluation.comparison import read_comparison
from topmass.plotting.comparison_figures import experiments_side_by_side, responses_side_by_side
from topmass.plotting.style import save, style_context


def draw_comparison(scores: Path, comparison: Path, responses: Path, colours: Sequence[str]) -> None:
    """Draw errors of each experiment with its difference to the first one (`comparison`), and its response by mass."""
    found = read_comparison(scores)
    with style_context(colours):
        save(experiments_side_by_side(found["rows"], found["reference"], found["level"]), comparison)
        save(responses_side_by_side(found["rows"]), responses)
