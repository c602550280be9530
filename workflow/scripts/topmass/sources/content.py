"""What a file is by its first bytes, where its name promises another: a page to log in at, a pointer, an error."""

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of content: in words, what to do who wanted another, and a pattern of its first bytes."""

    words: str
    advice: str
    begins: bytes = b""


LOOK = "it may say why: look at it, with `head` or in a browser"
POINTER = "the file itself lies elsewhere: `{}` fetches it in a clone; give its 'path', or its own URL"
UNPACK = "fetch and unpack it by hand, and give the file as 'path'"
HTML = Kind(
    "an HTML page, perhaps one to log in at",
    "it stands in place of the file: open the URL in a browser, and take the one of the file itself",
    rb"(?is)(?:<!--.*?-->|<\?xml.*?\?>|\s)*+<(?:!doctype\s+html|html|head|body|title|script|meta)\b",
)
POINTERS = (
    Kind("a Git LFS pointer", POINTER.format("git lfs pull"), rb"version https://git-lfs\.github\.com/spec/"),
    Kind("a git-annex pointer", POINTER.format("git annex get"), rb"(\.\./)*(\.git)?/annex/objects/"),
)
KINDS = (
    HTML,
    *POINTERS,
    Kind("XML", LOOK, rb"\s*<[?!\w]"),
    Kind("JSON", LOOK, rb'\s*[\[{]\s*["\[{\]}\d]'),
    Kind("gzip", UNPACK, rb"\x1f\x8b"),
    Kind("bzip2", UNPACK, rb"BZh"),
    Kind("xz", UNPACK, rb"\xfd7zXZ"),
    Kind("Zstandard", UNPACK, rb"\x28\xb5\x2f\xfd"),
    Kind("a ZIP archive", UNPACK, rb"PK\x03\x04"),
    Kind("an HDF5 file", "convert it to parquet", rb"\x89HDF"),
    Kind("a ROOT file", "convert it to parquet", rb"root"),
    Kind("an Arrow file", "convert it to parquet", rb"ARROW1"),
    Kind("an encrypted parquet file", "decrypt it", rb"PARE"),
    Kind("empty", LOOK, rb"\Z"),
    Kind("text", LOOK, rb"[\s!-~]{4,}\Z"),
)
UNKNOWN = Kind("something unknown", LOOK)
CUT = Kind("not a whole parquet file", "its end is missing")
PARQUET = b"PAR1"
"""The first and the last bytes of a parquet file."""
NAMES = {"", ".parquet", ".parq", ".pq"}
"""Endings of the names of files that have to be parquet; one without an ending is there to be read too."""
HEAD = 4096


def mismatch(name: str, head: bytes, tail: bytes | None = None, encoding: str = "") -> Kind | None:
    """What begins with `head`, and ends with `tail` where that is known, if it cannot be the file of this name.

    `encoding` is how HTTP compressed the bytes, which has not been undone.
    """
    head, ending = head.removeprefix(BOM_UTF8), Path(name).suffix.lower()
    promised = ending in NAMES
    if promised and head and PARQUET.startswith(head[: len(PARQUET)]):
        return None if tail in (None, PARQUET) else CUT
    if encoding and ending not in {".gz", ".br", ".zst", ".z"}:
        advice = "the server was asked not to compress: fetch it with `curl --compressed`, and give the file as 'path'"
        return Kind(f"compressed (Content-Encoding: {encoding})", advice)
    kinds = KINDS if promised else POINTERS if ending in {".html", ".htm", ".xhtml", ".xml"} else (HTML, *POINTERS)
    found = next((kind for kind in kinds if re.match(kind.begins, head)), None)
    return found or UNKNOWN if promised else found


def mismatch_of(file: Path, name: str, whole: bool = True) -> Kind | None:
    """What is in `file`, which is `whole` or has only the first bytes, if it cannot be the file of this name."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
        opened.seek(max(0, file.stat().st_size - len(PARQUET)))
        return mismatch(name, head, opened.read() if whole else None)
