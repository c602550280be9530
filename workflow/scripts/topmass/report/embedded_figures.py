"""Figures of the report: embedded, or linked where they are too large."""

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topmass.files import BadInput

SIGNATURE = b"\x89PNG\r\n\x1a\n"
WIDE = 1900
"""Width in pixels above which a figure has several panels and needs a full row of the report."""
OTHER_FORMATS = {".pdf": "PDF", ".csv": "CSV"}
"""Other formats of a figure in the same folder."""


@dataclass(frozen=True)
class Figure:
    """Figure in the report.

    Attributes:
        path: Path relative to the report.
        source: Content as a data URI; None if the figure is only linked.
        width: Width in pixels.
        height: Height in pixels.
        alt: First sentence of the caption, used as alternative text.
        caption: Caption.
        others: Path and name of each other format.
    """

    path: str
    source: str | None
    width: int
    height: int
    alt: str
    caption: str
    others: Sequence[tuple[str, str]]

    @property
    def subject(self) -> str:
        """Experiment and seed, dataset, or sample that the figure shows; empty if it shows all."""
        # A further folder is that of an evaluation sample, which is the title of its section.
        return ", seed ".join(Path(self.path).parent.parts[1:3])

    @property
    def wide(self) -> bool:
        """True if the figure needs a full row of the report."""
        return self.width > WIDE

    @property
    def name(self) -> str:
        """Name of the figure in words."""
        return Path(self.path).stem.replace("_", " ")


def load_figure(path: Path, page: Path, captions: Path, max_bytes: int) -> Figure:
    """Load a figure and its caption.

    Args:
        path: PNG file.
        page: Path of the report.
        captions: Folder of the captions, `{name of the figure}.rst`.
        max_bytes: Size of the data URI above which the figure is only linked.

    Raises:
        BadInput: If the file is not a PNG or has no caption.
    """
    content, caption_file = path.read_bytes(), captions / f"{path.stem}.rst"
    if content[:8] != SIGNATURE or len(content) < 24:
        raise BadInput(f"{path}: not a PNG; remove it, and the same command draws it anew")
    if not caption_file.exists():
        raise BadInput(f"{caption_file}: no caption for the figure {path}")
    caption = " ".join(caption_file.read_text(encoding="utf-8").split())
    first_sentence = re.split(r"(?<=\.) ", caption, maxsplit=1)[0]
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    others = {path.with_suffix(suffix): name for suffix, name in OTHER_FORMATS.items()}
    return Figure(
        path.relative_to(page.parent).as_posix(),
        source if len(source) <= max_bytes else None,
        *struct.unpack(">II", content[16:24]),
        first_sentence,
        caption,
        [(other.relative_to(page.parent).as_posix(), name) for other, name in others.items() if other.exists()],
    )
