"""Tables of the input ablation: loss of performance on perturbed test jets."""

import csv
import io
from collections.abc import Mapping

from topmass.evaluation.bootstrap import IntervalDict
from topmass.report.oracle_table import ENDS

SHOWN = {"mae": ("MAE, GeV", 1), "mre": ("MRE, %", 100), "lost": ("ΔMAE to nominal, GeV", 1)}
"""Title and factor of each metric; `lost` is a paired difference."""


def ablation_csv(scores: Mapping[str, Mapping[str, IntervalDict]]) -> str:
    """Return the scores as CSV, one row per perturbation of the jets; the MRE is a fraction."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["jets", *(f"{metric}{end}" for metric in SHOWN for end in ENDS.values())])
    for name, found in scores.items():
        rows.writerow([name, *(f"{found[metric][end]:.6g}" for metric in SHOWN for end in ENDS)])
    return text.getvalue()


def ablation_markdown(about: str, scores: Mapping[str, Mapping[str, IntervalDict]]) -> str:
    """Return the scores as a Markdown table below the line `about`."""
    heads = [title for title, _ in SHOWN.values()]
    lines = [about, "", f"| jets | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for name, found in scores.items():
        cells = (format_change(found[metric], factor, metric == "lost") for metric, (_, factor) in SHOWN.items())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def format_change(number: IntervalDict, factor: float, signed: bool) -> str:
    """Return a value and its interval as text, multiplied by `factor`."""
    value, low, high = (f"{factor * number[end]:{'+' if signed else ''}.2f}" for end in ENDS)
    return f"{value} [{low}, {high}]"
