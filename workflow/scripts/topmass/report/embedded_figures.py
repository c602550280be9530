"""Figures of the report, embedded until the size budget is exhausted."""

import base64
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from topmass.files import BadInput

SIGNATURE = b"\x89PNG\r\n\x1a\n"
WIDE = 1900
"""Width in pixels above which a figure has several panels and needs a full row of the report."""
BESIDE = {".pdf": "PDF", ".csv": "numbers"}
"""Other formats of a figure in the same folder."""


@dataclass(frozen=True)
class Figure:
    """Figure in the report.

    Attributes:
        path: Path relative to the report.
        source: Content as a data URI; None if the figure is only linked.
        width: Width in pixels.
        height: Height in pixels.
        seen: First sentence of the caption, used as alternative text.
        caption: Caption.
        beside: Path and name of each other format.
    """

    path: str
    source: str | None
    width: int
    height: int
    seen: str
    caption: str
    beside: Sequence[tuple[str, str]]

    @property
    def of(self) -> str:
        """Experiment and seed, dataset, or sample that the figure shows; empty if it shows all."""
        return ", seed ".join(Path(self.path).parent.parts[1:])

    @property
    def wide(self) -> bool:
        """True if the figure needs a full row of the report."""
        return self.width > WIDE

    @property
    def name(self) -> str:
        """Name of the figure in words."""
        return Path(self.path).stem.replace("_", " ")


class SizeBudget:
    """Byte budget for embedded figures; once exhausted, figures are linked instead."""

    def __init__(self, size: int) -> None:
        self.left = size

    def data_uri(self, content: bytes) -> str | None:
        """Return a PNG as a data URI and charge it to the budget; None if it does not fit."""
        text = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        if len(text) > self.left:
            return None
        self.left -= len(text)
        return text


def load_figure(path: Path, page: Path, captions: Path, room: SizeBudget) -> Figure:
    """Load a figure and its caption.

    Args:
        path: PNG file.
        page: Path of the report.
        captions: Folder of the captions, `{name of the figure}.rst`.
        room: Byte budget for embedded figures.

    Raises:
        BadInput: If the file is not a PNG or has no caption.
    """
    content, about = path.read_bytes(), captions / f"{path.stem}.rst"
    if content[:8] != SIGNATURE or len(content) < 24:
        raise BadInput(f"{path}: not a PNG; remove it, and the same command draws it anew")
    if not about.exists():
        raise BadInput(f"{about}: no caption for the figure {path}")
    caption = " ".join(about.read_text(encoding="utf-8").split())
    others = [(relative_path(path.with_suffix(kind), page), name) for kind, name in BESIDE.items()]
    return Figure(
        relative_path(path, page), room.data_uri(content), *struct.unpack(">II", content[16:24]),
        first_sentence(caption), caption, [(other, name) for other, name in others if (page.parent / other).exists()],
    )  # fmt: skip


def relative_path(path: Path, page: Path) -> str:
    """Return the path of a file relative to the report."""
    return path.relative_to(page.parent).as_posix()


def first_sentence(text: str) -> str:
    """Return the first sentence of a text."""
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def by_run(figures: Sequence[Figure]) -> Iterator[tuple[str, list[Figure]]]:
    """Yield groups of consecutive figures of the same run, with `Figure.of`."""
    for name, group in groupby(figures, lambda figure: figure.of):
        yield name, list(group)
