"""Tables of the report and of the model card, with formatted values and uncertainties."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from topmass.files import BadInput

MISSING_CELL = "–"
FACTORS = {"%": 100}
"""Factor from the stored value to the displayed value, by unit."""
DIGITS = {"GeV": 2, "%": 2, "": 3}
"""Number of decimals, by unit."""


class Column(NamedTuple):
    """Column header."""

    title: str
    unit: str = ""


class Cell(NamedTuple):
    """Formatted number with its interval or standard deviation."""

    value: str
    spread: str = ""


@dataclass(frozen=True)
class Table:
    """Table whose first cell per row is the row header."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Cell]]


def pivot(caption: str, header: str, scores: pd.DataFrame, columns: Mapping[tuple[str, str], Column]) -> Table:
    """Return a table of scores in long form, with one row per value of `row`, in their order.

    Args:
        caption: Caption of the table.
        header: Title of the first column.
        scores: Scores as from `score_frame`, with the row headers as column `row`.
        columns: Column of the table by `by` and `metric`.
    """
    cells = {(score["row"], score["by"], score["metric"]): score for score in scores.to_dict("records")}
    rows = [
        [row, *(interval_cell(cells.get((row, *key)), column.unit) for key, column in columns.items())]
        for row in dict.fromkeys(scores["row"])
    ]
    return Table(caption, [Column(header), *columns.values()], rows)


def interval_cell(score: Mapping[str, float] | None, unit: str) -> Cell:
    """Return a `value` with its interval from `low` to `high`; a dash if undefined, no interval if its ends are NaN."""
    if score is None or math.isnan(score["value"]):
        return Cell(MISSING_CELL)
    value, low, high = (decimal(score[key], unit) for key in ("value", "low", "high"))
    return Cell(value, "" if math.isnan(score["low"]) else f"[{low}, {high}]")


def seeds_cell(over_seeds: Mapping, unit: str) -> Cell:
    """Return a `mean` over seeds with its standard `deviation`, which is None for a single seed."""
    deviation = over_seeds["deviation"]
    return Cell(decimal(over_seeds["mean"], unit), "" if deviation is None else f"± {decimal(deviation, unit)}")


def count_cell(number: Mapping | float) -> Cell:
    """Return an integer, or a mean over seeds with its standard deviation, rounded to integers."""
    if not isinstance(number, Mapping):
        return Cell(f"{number:,.0f}")
    return Cell(f"{number['mean']:,.0f}", f"± {number['deviation']:,.0f}" if number["deviation"] else "")


def decimal(value: float, unit: str) -> str:
    """Return a stored value as text in this unit, with a typographic minus sign; "%" values are stored as fractions."""
    return f"{value * FACTORS.get(unit, 1):z,.{DIGITS[unit]}f}".replace("-", "−")


@contextmanager
def report_parse_errors(path: Path, what: str) -> Iterator[None]:
    """Convert parse errors of a malformed file to BadInput.

    Args:
        path: File, for the message.
        what: Expected content, for the message.

    Raises:
        BadInput: If the block raises an error that malformed content causes.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not {what} ({type(error).__name__}: {' '.join(str(error).split())})") from None
