"""The tables of the floor: how well quarks in the window tell the mass."""

import csv
import io
from collections.abc import Sequence

from topmass.scoring.bootstrap import Number
from topmass.scoring.regions import CONTAINMENT
from topmass.simulation.partons import Smearing

REGIONS = ("all", *CONTAINMENT)
SHOWN = {"mae": ("MAE, GeV", 1), "mre": ("MRE, %", 100)}
ENDS = {"value": "", "low": "_low", "high": "_high"}
Scores = dict[str, dict[str, Number]]
"""By region and metric."""


def as_csv(smearings: Sequence[Smearing], scores: Sequence[Scores], jets: Sequence[int]) -> str:
    """A row for each smearing and region, which has so many jets; the MRE is a fraction, what is unknown is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    numbers = [f"{metric}{end}" for metric in SHOWN for end in ENDS.values()]
    rows.writerow([*Smearing._fields, "region", "jets", *numbers])
    for smearing, by_region in zip(smearings, scores, strict=True):
        for (region, metrics), number in zip(by_region.items(), jets, strict=True):
            found = [f"{metrics[metric][end]:.6g}" if metrics[metric] else "" for metric in SHOWN for end in ENDS]
            rows.writerow([*smearing, region, number, *found])
    return text.getvalue()


def as_markdown(about: str, smearings: Sequence[Smearing], scores: Sequence[Scores]) -> str:
    """The table as Markdown, below a line about it."""
    heads = [f"{region}: {title}" for region in REGIONS for title, _ in SHOWN.values()]
    lines = [about, "", f"| quarks inside the window | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for smearing, by_region in zip(smearings, scores, strict=True):
        scored = [(by_region[region][metric], factor) for region in REGIONS for metric, (_, factor) in SHOWN.items()]
        cells = [shown(number, factor) for number, factor in scored]
        lines.append(f"| {named(smearing)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def named(smearing: Smearing) -> str:
    """A smearing in words."""
    if not any(smearing):
        return "as they are"
    words = f"energies ± {100 * smearing.energy:g} %, directions ± {smearing.direction:g}"
    words += f", none up to {smearing.pt_min:g} GeV" if smearing.pt_min else ""
    return words + (f", one within {smearing.distance:g}" if smearing.distance else "")


def shown(number: Number, factor: float) -> str:
    """A number with its interval; a dash where there is none."""
    if number is None:
        return "–"
    value, low, high = (f"{factor * number[name]:.1f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
