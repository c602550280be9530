"""Timing of functions that take turns, and tables of results."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from topmass.files import atomic_write


def time_in_turns(
    work: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    warm_up: int = 1,
) -> dict[str, np.ndarray]:
    """Measure functions that take turns, so that machine noise affects all of them.

    Args:
        work: Functions by name.
        rounds: Number of rounds.
        clock: Clock, in seconds.
        warm_up: Calls of each function before the first round, which are not timed.

    Returns:
        Seconds (rounds,) of each function.
    """
    for function in work.values():
        for _ in range(warm_up):
            function()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def wait(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write_table(folder: Path, title: str, table: pd.DataFrame) -> str:
    """Write a table to `table.csv` and, below its title, to `table.md`; return the Markdown."""
    rows = [table.columns, ["---"] * len(table.columns), *table.map(format_number).to_numpy()]
    text = "\n".join([title, "", *("| " + " | ".join(row) + " |" for row in rows), ""])
    with atomic_write(folder / "table.csv") as part:
        table.to_csv(part, index=False)
    with atomic_write(folder / "table.md") as part:
        part.write_text(text, encoding="utf-8")
    return text


def format_number(value: object) -> str:
    """Return a number with three digits or more, NaN as an empty string, and anything else as text."""
    if not isinstance(value, float):
        return str(value)
    return "" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
