"""The tables of the shortcuts: what a network loses with something taken from its jets."""

import csv
import io
from collections.abc import Mapping

from topmass.reporting.floor import ENDS
from topmass.scoring.bootstrap import Number

SHOWN = {"mae": ("MAE, GeV", 1), "mre": ("MRE, %", 100), "lost": ("MAE less that as they are, GeV", 1)}
"""Metrics with their titles and factors; `lost` is a paired difference."""


def as_csv(scores: Mapping[str, Mapping[str, Number]]) -> str:
    """A row for what was done to the jets; the MRE is a fraction."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["jets", *(f"{metric}{end}" for metric in SHOWN for end in ENDS.values())])
    for name, found in scores.items():
        rows.writerow([name, *(f"{found[metric][end]:.6g}" for metric in SHOWN for end in ENDS)])
    return text.getvalue()


def as_markdown(about: str, scores: Mapping[str, Mapping[str, Number]]) -> str:
    """The table as Markdown, below a line about it."""
    heads = [title for title, _ in SHOWN.values()]
    lines = [about, "", f"| jets | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for name, found in scores.items():
        cells = (shown(found[metric], factor, metric == "lost") for metric, (_, factor) in SHOWN.items())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shown(number: Number, factor: float, signed: bool) -> str:
    """A number with its interval."""
    value, low, high = (f"{factor * number[end]:{'+' if signed else ''}.2f}" for end in ENDS)
    return f"{value} [{low}, {high}]"
