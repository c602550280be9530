"""Tables of the report, with formatted values and uncertainties."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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


def decimal(value: float, unit: str) -> str:
    """Return a stored value as text in this unit, with a typographic minus sign; "%" values are stored as fractions."""
    return f"{value * FACTORS.get(unit, 1):z,.{DIGITS[unit]}f}".replace("-", "−")


def with_interval(number: Mapping[str, float] | None, unit: str) -> Cell:
    """Return a value with its interval; a dash if undefined."""
    if number is None:
        return Cell(MISSING_CELL)
    return Cell(decimal(number["value"], unit), f"[{decimal(number['low'], unit)}, {decimal(number['high'], unit)}]")


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
