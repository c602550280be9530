"""A file on whatever else fsspec and its plugins speak, XRootD above all: open it at an offset or from its start."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import fsspec
from fsspec.core import url_to_fs
from fsspec.registry import get_filesystem_class

from topmass.files import BadInput
from topmass.sources.remote import NO_SUCH_HOST, Edition, Interrupted, Patience, Remote, shown, without_secrets

CHUNK = 1 << 21
"""Bytes of a request: enough for a distant server, and few enough that a slow one answers in time."""
TAGS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "modify", "modified", "updated", "created")
"""What file systems call that which changes when the file does, the best first."""
NEVER = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, TypeError, ValueError)
NEVER_XROOTD = re.compile(r"\[(30(?:00|01|02|06|10|11|13|15|16|30))\]|Auth failed")
"""Answers of an XRootD server that stay the same: wrong request, not allowed, not found, not a file."""


def check_scheme(url: str) -> None:
    """Raise `BadInput` for a URL that nothing here speaks, or for which a package is missing."""
    scheme, separator, _ = url.partition("://")
    if "::" in url:
        raise BadInput(f"{shown(url)}: a chain of URLs (::) cannot be downloaded; give one URL")
    if not separator:
        raise BadInput(f"{shown(url)}: no URL; write https://…, root://… or, for a file on this machine, file:///…")
    try:
        get_filesystem_class(scheme)
    except ValueError:
        raise BadInput(
            f"{shown(url)}: unknown kind of URL {scheme}://; known are https, http, root, file, ftp, sftp, s3, gs, "
            f"webdav and what else fsspec speaks"
        ) from None
    except ImportError as error:
        raise BadInput(f"{shown(url)}: a package for {scheme}:// is missing: {error}") from None


@contextmanager
def open_anywhere(url: str, offset: int, edition: Edition, patience: Patience) -> Iterator[Remote]:
    """The bytes from `offset` on if the file is still of this edition and can be read from there; else all of them."""
    with translated(url):
        system, path = file_system(url, patience)
        found = edition_of(system.info(path))
        file = system.open(path, "rb", cache_type="none")
    try:
        start = offset if found.may_be(edition) and moved(file, offset) else 0
        yield Remote(start, found, chunks(file, url, start, found.size))
    finally:
        # A connection that is broken cannot be closed either.
        with suppress(Exception):
            file.close()


def size_anywhere(url: str, patience: Patience) -> int | None:
    """The size in bytes, or None where the server does not say it."""
    try:
        with translated(url):
            system, path = file_system(url, patience)
            return edition_of(system.info(path)).size
    except (BadInput, Interrupted):
        return None


def file_system(url: str, patience: Patience) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, with nothing remembered from before, and the path there."""
    options = {}
    if url.startswith("root://"):
        # The XRootD client by itself goes on to another server that has the file.
        options = {"timeout": limit_xrootd(patience), "locate_all_sources": False}
    return url_to_fs(url, skip_instance_cache=True, **options)


def limit_xrootd(patience: Patience) -> int:
    """Keep the XRootD client from waiting for half an hour by itself; return the limit of one request in seconds.

    Its settings are whole seconds, and those in the user's environment have precedence. Of its own tries it has one:
    ours are seen. A connection on which nothing comes has to be found dead before the request is given up, or the next
    request is sent to the same dead connection.
    """
    from XRootD import client

    connect, silence = (round(max(1, seconds)) for seconds in (patience.connect, patience.read))
    limits = {"ConnectionWindow": connect, "ConnectionRetry": 1, "StreamTimeout": silence, "StreamErrorWindow": 0}
    for name, value in (limits | {"RequestTimeout": 2 * silence + 1, "TimeoutResolution": 1}).items():
        client.EnvPutInt(name, value)
    return 2 * silence + 1


def edition_of(info: dict) -> Edition:
    """The edition, from what a file system says of a file."""
    if info.get("type") == "directory":
        raise IsADirectoryError("this is a folder, not a file")
    return Edition(info.get("size"), next((str(info[name]) for name in TAGS if info.get(name)), ""))


def moved(file: IO[bytes], offset: int) -> bool:
    """Whether reading can go on at `offset`."""
    with suppress(Exception):
        file.seek(offset)
        return file.tell() == offset
    return False


def chunks(file: IO[bytes], url: str, start: int, size: int | None) -> Iterator[bytes]:
    """The bytes from `start` up to `size`, or to the end where the size is not known."""
    while size is None or start < size:
        with translated(url):
            chunk = file.read(CHUNK if size is None else min(CHUNK, size - start))
        if not chunk:
            break
        start += len(chunk)
        yield chunk


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn whatever a plugin raises into `BadInput` or `Interrupted`."""
    try:
        yield
    except Exception as error:
        reason = without_secrets(getattr(error, "strerror", None) or str(error) or type(error).__name__, url)
        reason = re.sub("^Failed to submit <.*> request: ", "", reason)  # fsspec-xrootd shows its own insides
        if isinstance(error, NEVER) or NEVER_XROOTD.search(reason):
            raise BadInput(f"{shown(url)}: {reason}") from None
        if isinstance(error, socket.gaierror) or "Invalid address" in reason:  # the latter is XRootD's word for it
            once = getattr(error, "errno", None) in NO_SUCH_HOST
            raise Interrupted(f"the host is not found: {reason}", once=once) from None
        raise Interrupted(reason) from None
