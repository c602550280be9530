"""Tables of the parton-level oracle: mass errors from quarks in the window."""

import csv
import io
from collections.abc import Sequence

from topmass.evaluation.bootstrap import IntervalDict
from topmass.evaluation.regions import CONTAINMENT
from topmass.simulation.partons import Smearing

REGIONS = ("all", *CONTAINMENT)
SHOWN = {"mae": ("MAE, GeV", 1), "mre": ("MRE, %", 100)}
ENDS = {"value": "", "low": "_low", "high": "_high"}
Scores = dict[str, dict[str, IntervalDict]]
"""Intervals by region and metric."""


def oracle_csv(smearings: Sequence[Smearing], scores: Sequence[Scores], jets: Sequence[int]) -> str:
    """Return the scores as CSV, one row per smearing and region.

    The MRE is a fraction; undefined values are empty.

    Args:
        smearings: Smearings of the quarks.
        scores: Scores for each smearing.
        jets: Number of jets in each region.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    numbers = [f"{metric}{end}" for metric in SHOWN for end in ENDS.values()]
    rows.writerow([*Smearing._fields, "region", "jets", *numbers])
    for smearing, by_region in zip(smearings, scores, strict=True):
        for (region, metrics), number in zip(by_region.items(), jets, strict=True):
            found = [f"{metrics[metric][end]:.6g}" if metrics[metric] else "" for metric in SHOWN for end in ENDS]
            rows.writerow([*smearing, region, number, *found])
    return text.getvalue()


def oracle_markdown(about: str, smearings: Sequence[Smearing], scores: Sequence[Scores]) -> str:
    """Return the scores as a Markdown table, one row per smearing, below the line `about`."""
    heads = [f"{region}: {title}" for region in REGIONS for title, _ in SHOWN.values()]
    lines = [about, "", f"| quarks inside the window | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for smearing, by_region in zip(smearings, scores, strict=True):
        scored = [(by_region[region][metric], factor) for region in REGIONS for metric, (_, factor) in SHOWN.items()]
        cells = [format_score(number, factor) for number, factor in scored]
        lines.append(f"| {named(smearing)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def named(smearing: Smearing) -> str:
    """Return a smearing in words."""
    if not any(smearing):
        return "as they are"
    words = f"energies ± {100 * smearing.energy:g} %, directions ± {smearing.direction:g}"
    words += f", none up to {smearing.pt_min:g} GeV" if smearing.pt_min else ""
    return words + (f", one within {smearing.distance:g}" if smearing.distance else "")


def format_score(number: IntervalDict, factor: float) -> str:
    """Return a value and its interval as text, multiplied by `factor`; a dash if undefined."""
    if number is None:
        return "–"
    value, low, high = (f"{factor * number[name]:.1f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
