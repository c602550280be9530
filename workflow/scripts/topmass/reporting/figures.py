"""Figures of a page: with caption, size and place; within the page as long as there is room."""

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
"""Points across from which a figure has several panels and wants a line of the page for itself."""
BESIDE = {".pdf": "PDF", ".csv": "numbers"}
"""Other forms of a figure, which lie beside it."""


@dataclass(frozen=True)
class Figure:
    """A figure as the page shows it: `source` is its content as a data URI, or None where it has to be linked."""

    path: str
    source: str | None
    width: int
    height: int
    seen: str
    caption: str
    beside: Sequence[tuple[str, str]]

    @property
    def of(self) -> str:
        """What it shows: experiment and seed, or dataset, or sample; nothing if it shows all."""
        return ", seed ".join(Path(self.path).parent.parts[1:])

    @property
    def wide(self) -> bool:
        """Whether it would be too small beside another one."""
        return self.width > WIDE

    @property
    def name(self) -> str:
        """What it is called."""
        return Path(self.path).stem.replace("_", " ")


class Room:
    """So many bytes for figures; the last ones may find it full."""

    def __init__(self, size: int) -> None:
        self.left = size

    def data_uri(self, content: bytes) -> str | None:
        """The figure as a URI that needs no file; None if there is no room for it."""
        text = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        if len(text) > self.left:
            return None
        self.left -= len(text)
        return text


def load(path: Path, page: Path, captions: Path, room: Room) -> Figure:
    """One figure, with its caption from the folder `captions`. BadInput if either cannot be used."""
    content, about = path.read_bytes(), captions / f"{path.stem}.rst"
    if content[:8] != SIGNATURE or len(content) < 24:
        raise BadInput(f"{path}: not a PNG; remove it, and the same command draws it anew")
    if not about.exists():
        raise BadInput(f"{about}: no caption for the figure {path}")
    caption = " ".join(about.read_text(encoding="utf-8").split())
    others = [(place(path.with_suffix(kind), page), name) for kind, name in BESIDE.items()]
    return Figure(
        place(path, page), room.data_uri(content), *struct.unpack(">II", content[16:24]), first_sentence(caption),
        caption, [(other, name) for other, name in others if (page.parent / other).exists()],
    )  # fmt: skip


def place(path: Path, page: Path) -> str:
    """Where a file is, seen from the page."""
    return path.relative_to(page.parent).as_posix()


def first_sentence(text: str) -> str:
    """What is seen, in one sentence."""
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def by_run(figures: Sequence[Figure]) -> Iterator[tuple[str, list[Figure]]]:
    """Neighbours that show the same together, with what that is."""
    for name, group in groupby(figures, lambda figure: figure.of):
        yield name, list(group)
