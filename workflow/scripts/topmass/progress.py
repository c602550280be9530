"""Progress of a stage: a bar in a terminal, otherwise lines in the log."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self, TypeVar

from tqdm import tqdm

from topmass.console import active_progress, duration, log_info

Item = TypeVar("Item")


class Progress:
    """Progress of one piece of work, printed by the heartbeat of the stage.

    Args:
        title: Name of the work.
        total: Amount of work; None if unknown.
        unit: Unit of all amounts.
        done: Amount that is done.
        remaining_after: Amount of later work in the same unit, included in the time left.
        bar: Whether a bar replaces the printed line in a terminal.
    """

    def __init__(
        self,
        title: str,
        total: float | None,
        unit: str = "jet",
        done: float = 0,
        remaining_after: float = 0,
        bar: bool = True,
    ) -> None:
        self.title, self.total, self.unit, self.remaining_after = title, total, unit, remaining_after
        self.first = self.done = done
        self.note = ""
        self.start = time.monotonic()
        # tqdm hides the bar if stderr is no terminal (None), or always (True).
        hidden = None if bar and logging.getLogger("topmass").level <= logging.INFO else True
        scaled = unit in ("jet", "B")
        self.bar = tqdm(
            desc=title, total=total, initial=done, unit=unit, unit_scale=scaled, leave=False, disable=hidden
        )
        active_progress.append(self.log_line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def update(self, number: float = 1, note: str | None = None) -> None:
        """Add the amount done since the last call; `note` replaces the status text."""
        self.done += number
        if note is not None:
            self.note = note
            self.bar.set_postfix_str(", ".join(filter(None, [note, self.time_left()])), refresh=False)
        self.draw(lambda: self.bar.update(number))

    def close(self) -> None:
        """End the work and remove the bar."""
        if self.log_line in active_progress:
            active_progress.remove(self.log_line)
        self.draw(self.bar.close)

    def draw(self, change: Callable[[], object]) -> None:
        """Change the bar; disable it if its terminal was closed."""
        try:
            change()
        except OSError:
            self.bar.disable = True

    def log_line(self) -> None:
        """Log the line; only to the file if the terminal has the bar."""
        log_info(self.line(), extra={"has_bar": not self.bar.disable})

    def line(self) -> str:
        """Return the amount done, the rate, the note and the time left as text."""
        done_text = f"{min(100, 100 * self.done / self.total):.0f} %" if self.total else amount(self.done, self.unit)
        rate = self.rate()
        speed = f"{amount(rate, self.unit)}/s" if rate else ""
        return ", ".join(filter(None, [self.title, done_text, speed, self.note, self.time_left()]))

    def rate(self) -> float:
        """Return the mean rate since the start, in units per second."""
        return (self.done - self.first) / max(1e-3, time.monotonic() - self.start)

    def time_left(self) -> str:
        """Return the time left at this rate as text, empty if it is unknown."""
        rate = self.rate()
        if not self.total or not rate:
            return ""
        return f"{duration(max(0.0, self.total - self.done + self.remaining_after) / rate)} left"


def track(
    items: Iterable[Item],
    title: str,
    unit: str,
    total: float | None = None,
    size: Callable[[Item], float] = lambda item: 1,
    bar: bool = True,
) -> Iterator[Item]:
    """Yield the items and show the progress.

    Args:
        items: Items to yield.
        title: Name of the work.
        unit: Unit of the sizes.
        total: Sum of the sizes; None for `len(items)`.
        size: Function that returns the size of an item, which counts once its consumer has finished with it.
        bar: Whether a terminal shows a bar.
    """
    with Progress(title, len(items) if total is None else total, unit, bar=bar) as progress:
        for item in items:
            yield item
            progress.update(size(item))


def amount(number: float, unit: str) -> str:
    """Return a number of units: 12.3MB, 1,510 jets, 0.25 blocks."""
    if unit == "B":
        return f"{tqdm.format_sizeof(number)}B"
    return f"{number:,.0f} {unit}s" if number >= 10 or number == int(number) else f"{number:.2g} {unit}s"
