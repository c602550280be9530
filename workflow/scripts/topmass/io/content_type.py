"""Detection of other content than parquet (login pages, pointers, error bodies) from first and last bytes."""

import re
from pathlib import Path

HEAD = 4096
"""First bytes that are inspected."""
PARQUET = b"PAR1"
"""First and last bytes of a parquet file."""
HTML = "an HTML page, perhaps a login page; to fix: open the URL in a browser and use the URL of the file itself"
POINTERS = {
    rb"(?is)(?:\xef\xbb\xbf)?(?:<!--.*?-->|<\?xml.*?\?>|\s)*+<(?:!doctype\s+html|html|head|body)\b": HTML,
    rb"version https://git-lfs\.github\.com/spec/": (
        "a Git LFS pointer; to fix: run `git lfs pull` in a clone and give the file as 'path'"
    ),
    rb"(\.\./)*(\.git)?/annex/objects/": (
        "a git-annex pointer; to fix: run `git annex get` in a clone and give the file as 'path'"
    ),
}
"""Patterns of first bytes that no file of jets has, whatever its name, and their descriptions."""
OTHERS = {
    rb"\Z": "empty",
    rb"PARE": "an encrypted parquet file; to fix: decrypt it",
    rb"root": "a ROOT file; to fix: convert it to parquet",
    rb"\x89HDF": "an HDF5 file; to fix: convert it to parquet",
    rb"ARROW1": "an Arrow file; to fix: convert it to parquet",
    rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|PK\x03\x04": "compressed; to fix: unpack it and give the file as 'path'",
    rb"[\s!-~]{4}": "text; to fix: read it, it may be an error message",
}


def wrong_content(name: str, start: bytes, end: bytes | None = None) -> str:
    """Describe content that contradicts the file name, with advice; return an empty string for correct content.

    Args:
        name: File name. Without a suffix, or with one of parquet, the file must be parquet.
        start: First bytes.
        end: Last bytes, as many as `PARQUET` has; None if unknown.
    """
    suffix = Path(name).suffix.lower()
    parquet = suffix in ("", ".parquet", ".parq", ".pq")
    if parquet and start and PARQUET.startswith(start[: len(PARQUET)]):
        return "" if end in (None, PARQUET) else "not a whole parquet file: its end is missing"
    patterns = POINTERS | (OTHERS if parquet else {})
    content = next((text for pattern, text in patterns.items() if re.match(pattern, start[:HEAD])), "")
    if content == HTML and suffix in (".html", ".htm", ".xml"):
        return ""
    return f"not a parquet file but {content or f'something that starts with {start[:12]!r}'}" if parquet else content


def wrong_file(file: Path, name: str) -> str:
    """Return `wrong_content` of a complete file."""
    with file.open("rb") as opened:
        start = opened.read(HEAD)
        opened.seek(max(0, file.stat().st_size - len(PARQUET)))
        return wrong_content(name, start, opened.read())
