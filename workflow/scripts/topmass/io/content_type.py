"""Detection of other content than parquet or ROOT (login pages, pointers, error bodies) from first and last bytes."""

import re
import shlex
from pathlib import Path

from topmass.files import BadInput
from topmass.io.checksums import record_path

HEAD = 4096
"""First bytes that are inspected."""
PARQUET = b"PAR1"
"""First and last bytes of a parquet file."""
ROOT = b"root"
"""First bytes of a ROOT file."""
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
    rb"PAR1": "a parquet file; to fix: leave 'format' out",
    rb"root": "a ROOT file; to fix: set 'format' to nanoaod or jetclass, if it has particle-flow candidates",
    rb"\x89HDF": "an HDF5 file; to fix: convert it to parquet",
    rb"ARROW1": "an Arrow file; to fix: convert it to parquet",
    rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|PK\x03\x04": "compressed; to fix: unpack it and give the file as 'path'",
    rb"[\s!-~]{4}": "text; to fix: read it, it may be an error message",
}


def wrong_content(name: str, start: bytes, end: bytes | None = None) -> str:
    """Describe content that contradicts the file name, with advice; return an empty string for correct content.

    Args:
        name: File name. Without a suffix, or with one of parquet, the file must be parquet; with .root, a ROOT file.
        start: First bytes.
        end: Last bytes, as many as `PARQUET` has; None if unknown.
    """
    suffix = Path(name).suffix.lower()
    parquet, root = suffix in ("", ".parquet", ".parq", ".pq"), suffix == ".root"
    if parquet and start and PARQUET.startswith(start[: len(PARQUET)]):
        return "" if end in (None, PARQUET) else "not a complete parquet file: its end is missing"
    if root and start and ROOT.startswith(start[: len(ROOT)]):
        return ""
    patterns = POINTERS | (OTHERS if parquet or root else {})
    content = next((text for pattern, text in patterns.items() if re.match(pattern, start[:HEAD])), "")
    if content == HTML and suffix in (".html", ".htm", ".xml"):
        return ""
    if not parquet and not root:
        return content
    kind = "parquet" if parquet else "ROOT"
    return f"not a {kind} file but {content or f'something that starts with {start[:12]!r}'}"


def wrong_file(file: Path, name: str) -> str:
    """Return `wrong_content` of a complete file."""
    with file.open("rb") as opened:
        start = opened.read(HEAD)
        opened.seek(max(0, file.stat().st_size - len(PARQUET)))
        return wrong_content(name, start, opened.read())


def check_content(path: Path, name: str) -> None:
    """Raise BadInput for a file with other content than its `name` requires; OSError if it cannot be opened."""
    if problem := wrong_file(path, name):
        remove = shlex.join(["rm", str(path), str(record_path(path))])
        downloaded = f"; if it is a download, `{remove}` repeats it" if record_path(path).exists() else ""
        raise BadInput(f"{path}: {problem}{downloaded}")
