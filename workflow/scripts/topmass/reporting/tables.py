"""Tables as the page shows them: text in its final form, and numbers with what belongs below them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from topmass.files import BadInput

NOTHING = "–"
FACTORS = {"%": 100}
"""What a fraction is multiplied by to be shown in a unit."""
DIGITS = {"GeV": 2, "%": 2, "": 3}
"""Decimals of a number in a unit."""


class Column(NamedTuple):
    """The head of a column."""

    title: str
    unit: str = ""


class Number(NamedTuple):
    """A number as text, and its interval or deviation."""

    value: str
    spread: str = ""


@dataclass(frozen=True)
class Table:
    """A table: the first cell of a row is its head."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Number]]


def decimal(value: float, unit: str) -> str:
    """A number that is kept without its unit, or as a fraction, in this unit; with the minus that is one."""
    return f"{value * FACTORS.get(unit, 1):z,.{DIGITS[unit]}f}".replace("-", "−")


def with_interval(number: Mapping[str, float] | None, unit: str) -> Number:
    """A value with the ends of its interval; a dash where it is not defined."""
    if number is None:
        return Number(NOTHING)
    return Number(decimal(number["value"], unit), f"[{decimal(number['low'], unit)}, {decimal(number['high'], unit)}]")


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Whatever a file of another form leads to becomes a BadInput that names it."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not {what} ({type(error).__name__}: {' '.join(str(error).split())})") from None
