"""Whether a file that is there, that comes or that has come is the right one."""

import shlex
from pathlib import Path

from topmass.console import say
from topmass.files import BadInput
from topmass.sources.anywhere import size_anywhere
from topmass.sources.checksum import Checksum, read_record, record_of, running_over, write_record
from topmass.sources.content import HEAD, mismatch, mismatch_of
from topmass.sources.partial import Part, part_of
from topmass.sources.remote import Patience, Remote, identity, on_web, shown
from topmass.sources.web import size_on_web


def is_right(url: str, file: Path, wanted: Checksum | None, size: int | None, patience: Patience) -> bool:
    """Whether `file` has the checksum wanted or written down; without one, the size, and then it is written down.

    A checksum that was written down for what cannot be a file of this name is forgotten.
    """
    if not wanted and (other := mismatch_of(file, file.name)):
        say(f"{file} is {other.words}")
        if (record := read_record(file)) and record.checksum == running_over("sha256", file).result():
            record_of(file).unlink()
        return False
    if not wanted and read_record(file) and not noted(file, url):
        say(f"{file} is from another URL")
        return False
    there = file.stat().st_size
    known = wanted or noted(file, url)
    if not known and size is None:
        size = (size_on_web if on_web(url) else size_anywhere)(url, patience)
    if there != size and not (known and size is None):
        return False
    found = running_over(known.kind if known else "sha256", file).result()
    if not known:
        write_record(file, found, identity(url))
    return found == (known or found)


def noted(file: Path, url: str) -> Checksum | None:
    """The checksum that was written down for what came from this URL, or from one that nobody wrote down."""
    record = read_record(file)
    return record.checksum if record and record.source in ("", identity(url)) else None


def looked_at(first: bytes, part: Part, remote: Remote, url: str, wanted: Checksum | None) -> bytes:
    """The first bytes that come, unless they are those of something else than the file.

    A checksum that is wanted decides by itself, but for bytes that would take the place of those that are there.
    """
    name = part.file.name
    other = mismatch(name, first[:HEAD], encoding=remote.encoding) if first and not remote.offset else None
    replaced = part.length and not mismatch_of(part_of(part.file), name, whole=False)
    if other and (replaced or not wanted):
        raise BadInput(f"{shown(url)}: what comes for {name} is {other.words}{remote.told}: {other.advice}")
    return first


def check_size(url: str, remote: Remote, size: int | None) -> None:
    """Refuse a file that the server says has another size than it should have."""
    there = remote.edition.size
    if None not in (size, there) and size != there:
        raise BadInput(
            f"{shown(url)}: has {there:,} bytes on the server{remote.told} and should have {size:,}: "
            f"see whether URL and size belong together"
        )


def objection(part: Part, url: str, wanted: Checksum | None) -> str:
    """What speaks against the whole part's being the file; "" if nothing does.

    The checksum that is wanted decides by itself; without one, what the bytes are and the checksum written down.
    """
    file, found = part.file, part.checksum.result()
    other = mismatch_of(part_of(file), file.name)
    looks = f"it is {other.words}: {other.advice}" if other else ""
    if wanted:
        return "" if found == wanted else f"has {found} and not {wanted} as wanted{looks and '; '}{looks}"
    known = None if other else noted(file, url)
    if known in (None, found):
        return looks
    remove = shlex.join(["rm", *(str(path) for path in (file, record_of(file)) if path.exists())])
    return f"has {found} and not {known} as noted when it first came (if the change is wanted: `{remove}`)"


def settle(part: Part, url: str, wanted: Checksum | None) -> None:
    """Put the whole part in its place, or aside if anything speaks against it; write its checksum down if it is new."""
    file, wrong = part.file, part.file.with_name(f"{part.file.name}.wrong")
    if against := objection(part, url, wanted):
        part.move_to(wrong)
        raise BadInput(f"{shown(url)}: {against}; what came is kept as {wrong}")
    if wanted:
        record_of(file).unlink(missing_ok=True)  # it might be that of another edition
    elif not noted(file, url):
        write_record(file, part.checksum.result(), identity(url))
        say(f"{part.checksum.result()}, noted in {record_of(file)}: the next time it has to be the same")
    part.move_to(file)
