"""Bring a remote file to its place: whole, checked, and without fetching twice what is there."""

import re
import shutil
import time
from pathlib import Path

from tqdm import tqdm

from topmass.console import say
from topmass.files import BadInput
from topmass.sources.anywhere import check_scheme, open_anywhere, size_anywhere
from topmass.sources.checksum import Checksum, read_record, record_of, running_over, write_record
from topmass.sources.partial import Part, forget, open_part
from topmass.sources.remote import Edition, Interrupted, Patience, identity, shown
from topmass.sources.web import open_web, size_on_web


def fetch(url: str, file: Path, checksum: str | None, size: int | None, patience: Patience) -> None:
    """Bring what is at `url` to `file`, unless it is there; go on where an earlier run stopped.

    `checksum` is `kind:value` of `topmass.sources.checksum.LENGTHS`, `size` in bytes, each None where not known.
    Without a checksum the SHA-256 found is written to `{file}.sha256`, and has to be the same ever after. What is
    wrong is kept as `{file}.wrong`. `BadInput` for what another try would not mend, `OSError` for a disk that refuses.
    """
    wanted = Checksum.parse(checksum) if checksum else None
    if not on_web(url):
        check_scheme(url)
    if file.exists():
        if is_right(url, file, wanted, size, patience):
            forget(file)
            say(f"{file} is there and right")
            return
        say(f"{file} is there, but is not known to be right: downloading it anew")
    with open_part(file, identity(url), wanted.kind if wanted else "sha256") as part:
        receive(part, url, size, patience)
        settle(part, url, wanted)


def on_web(url: str) -> bool:
    """Whether the URL is one of a web server."""
    return re.match("https?://", url, re.IGNORECASE) is not None


def is_right(url: str, file: Path, wanted: Checksum | None, size: int | None, patience: Patience) -> bool:
    """Whether `file` has the checksum wanted or written down; without one, the size, and then it is written down."""
    there = file.stat().st_size
    known = wanted or read_record(file)
    if not known and size is None:
        size = (size_on_web if on_web(url) else size_anywhere)(url, patience)
    if there != size and not (known and size is None):
        return False
    found = running_over(known.kind if known else "sha256", file).result()
    if not known:
        write_record(file, found)
    return found == (known or found)


def receive(part: Part, url: str, size: int | None, patience: Patience) -> None:
    """Fetch what is missing of the part, again and again until it is whole or nothing new comes any more."""
    began, before, furthest, fruitless = time.monotonic(), part.length, part.length, 0
    if before:
        say(f"{before:,} bytes are there from before")
    while True:
        try:
            fetch_rest(part, url, size, patience)
            break
        except Interrupted as error:
            fruitless = 0 if part.length > furthest else fruitless + 1
            furthest = max(furthest, part.length)
            if fruitless >= patience.tries:
                kept = f"; the next run goes on from {part.length:,} bytes" if part.length else ""
                raise BadInput(
                    f"{shown(url)}: given up after {fruitless} tries that brought nothing new: {error}{kept}"
                ) from None
            wait = patience.wait_after(fruitless, error.wait)
            say(f"{error} (at {part.length:,} bytes); trying again in {wait:g} s")
        time.sleep(wait)
    seconds = time.monotonic() - began
    rate = f"{amount(part.came)} in {seconds:.1f} s, {amount(part.came / max(seconds, 1e-3))}/s"
    resumed = f", going on at {before:,}" if part.came == part.length - before < part.length else ""
    say(f"{part.length:,} bytes: {rate}{resumed}")


def fetch_rest(part: Part, url: str, size: int | None, patience: Patience) -> None:
    """One try to make the part whole; `size` in bytes is what it should have, or None."""
    open_remote = open_web if on_web(url) else open_anywhere
    with open_remote(url, part.length, part.edition, patience) as remote:
        check_size(url, remote.edition, size)
        if remote.offset < part.length:
            changed = not remote.edition.may_be(part.edition)
            say(f"starting over: {'the file has changed' if changed else 'the server cannot go on in the middle'}")
        if remote.offset == 0:
            part.restart(remote.edition)
        known = (remote.edition.size, part.edition.size, size)
        expected = next((each for each in known if each is not None), None)
        check_space(part, expected or 0)
        with tqdm(
            desc=part.file.name, total=expected, initial=part.length,
            unit="B", unit_scale=True, disable=None, leave=False,
        ) as bar:  # fmt: skip
            for data in remote.chunks:
                part.append(data)
                bar.update(len(data))
                if expected is not None and part.length > expected:
                    raise BadInput(f"{shown(url)}: there is more of it than the {expected:,} bytes that it should have")
    if expected is not None and part.length < expected:
        raise Interrupted(f"it ended before its {expected:,} bytes")


def check_size(url: str, edition: Edition, size: int | None) -> None:
    """Refuse a file that the server says has another size than it should have."""
    if None not in (size, edition.size) and size != edition.size:
        raise BadInput(
            f"{shown(url)}: has {edition.size:,} bytes on the server and should have {size:,}: "
            f"see whether URL and size belong together"
        )


def check_space(part: Part, expected: int) -> None:
    """Refuse what does not fit."""
    free = shutil.disk_usage(part.file.parent).free
    if expected - part.length > free:
        raise BadInput(
            f"{part.file}: {expected - part.length:,} bytes are still to come, and the disk has room for {free:,}"
        )


def settle(part: Part, url: str, wanted: Checksum | None) -> None:
    """Put the whole part in its place if its checksum is the one wanted, or written down, or the first one."""
    file, found = part.file, part.checksum.result()
    known = wanted or read_record(file)
    if known and found != known:
        wrong = file.with_name(f"{file.name}.wrong")
        part.move_to(wrong)
        why = "as wanted" if wanted else f"as noted in {record_of(file)} (delete that if the change is wanted)"
        raise BadInput(f"{shown(url)}: has {found} and not {known} {why}; what came is kept as {wrong}")
    if wanted:
        record_of(file).unlink(missing_ok=True)  # it might be that of another edition
    elif not known:
        write_record(file, found)
        say(f"{found}, noted in {record_of(file)}: the next time it has to be the same")
    part.move_to(file)


def amount(size: float) -> str:
    """Bytes in the unit that suits them."""
    return f"{tqdm.format_sizeof(size)}B"
