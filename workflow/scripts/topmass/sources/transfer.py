"""Bring a remote file to its place: whole, checked, and without fetching twice what is there."""

import itertools
import shutil
import time
from pathlib import Path

from tqdm import tqdm

from topmass.console import say
from topmass.files import BadInput
from topmass.sources.anywhere import check_scheme, open_anywhere
from topmass.sources.checksum import Checksum
from topmass.sources.partial import Part, forget, open_part
from topmass.sources.remote import Interrupted, Patience, identity, on_web, shown
from topmass.sources.verdict import check_size, is_right, looked_at, settle
from topmass.sources.web import open_web


def fetch(url: str, file: Path, checksum: str | None, size: int | None, patience: Patience) -> None:
    """Bring what is at `url` to `file`, unless it is there; go on where an earlier run stopped.

    `checksum` is `kind:value` of `topmass.sources.checksum.LENGTHS`, `size` in bytes, each None where not known.
    Without a checksum it has to look like a file of its name; then the SHA-256 found is written to `{file}.sha256`, and
    has to be the same ever after. What is wrong is kept as `{file}.wrong`. `BadInput` for what another try would not
    mend, `OSError` for a disk that refuses.
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
        receive(part, url, size, wanted, patience)
        settle(part, url, wanted)


def receive(part: Part, url: str, size: int | None, wanted: Checksum | None, patience: Patience) -> None:
    """Fetch what is missing of the part, again and again until it is whole or nothing new comes any more."""
    began, before, furthest, fruitless = time.monotonic(), part.length, part.length, 0
    if before:
        say(f"{before:,} bytes are there from before")
    while True:
        try:
            fetch_rest(part, url, size, wanted, patience)
            break
        except Interrupted as error:
            fruitless = 0 if part.length > furthest else fruitless + 1
            furthest = max(furthest, part.length)
            if error.once and not part.came:
                raise BadInput(f"{shown(url)}: {error}") from None
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


def fetch_rest(part: Part, url: str, size: int | None, wanted: Checksum | None, patience: Patience) -> None:
    """One try to make the part whole; `size` in bytes is what it should have, or None."""
    open_remote = open_web if on_web(url) else open_anywhere
    with open_remote(url, part.length, part.edition, patience) as remote:
        chunks = itertools.chain([looked_at(next(remote.chunks, b""), part, remote, url, wanted)], remote.chunks)
        check_size(url, remote, size)
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
            for data in chunks:
                part.append(data)
                bar.update(len(data))
                if expected is not None and part.length > expected:
                    raise BadInput(f"{shown(url)}: there is more of it than the {expected:,} bytes that it should have")
    if expected is not None and part.length < expected:
        raise Interrupted(f"it ended before its {expected:,} bytes")


def check_space(part: Part, expected: int) -> None:
    """Refuse what does not fit."""
    free = shutil.disk_usage(part.file.parent).free
    if expected - part.length > free:
        raise BadInput(
            f"{part.file}: {expected - part.length:,} bytes are still to come, and the disk has room for {free:,}"
        )


def amount(size: float) -> str:
    """Bytes in the unit that suits them."""
    return f"{tqdm.format_sizeof(size)}B"
