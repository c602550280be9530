"""Learning curves of networks and GBDTs."""

from collections.abc import Sequence
from pathlib import Path

from topmass.evaluation.comparison import read_comparison
from topmass.plotting.learning_curve import learning_curves
from topmass.plotting.style import save, style_context


def draw_learning_curve(
    comparison: Path, learning_curve: Path, oracle_mae: float | None, colours: Sequence[str]
) -> None:
    """Draw MAE and MRE against training-set size, one curve per network and kind of GBDT.

    Args:
        comparison: Comparison of experiments.
        learning_curve: Figure to write.
        oracle_mae: MAE (GeV) of the parton-level oracle, drawn as a line, or None.
        colours: Colours of the figures.
    """
    with style_context(colours):
        save(learning_curves(read_comparison(comparison)["rows"], oracle_mae), learning_curve)
