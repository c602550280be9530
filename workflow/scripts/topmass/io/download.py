"""Resumable, verified and atomic downloads: web servers by requests, other protocols by fsspec."""

import fcntl
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple
from urllib.parse import urlsplit

import fsspec
import requests

from topmass.console import log_info
from topmass.files import BadInput, atomic_write, resource_exhausted
from topmass.io.checksums import compute_checksum, parse_checksum, read_record, record_path, write_record
from topmass.io.content_type import wrong_content, wrong_file
from topmass.io.locations import ending_of, glob_paths, redact_url, url_fingerprint, without_secrets
from topmass.progress import Progress

CHUNK = 1 << 20
FATAL_ERRORS = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    TypeError,
    ValueError,  # including invalid URLs of requests
    requests.TooManyRedirects,
)
FATAL_XROOTD_ERRORS = re.compile(r"\[(30(?:00|01|02|06|10|11|13|15|16|30))\]|Auth failed")
"""XRootD errors that a retry does not fix: invalid request, not allowed, not found, not a file."""
RETRY_STATUS = {408, 425, 429}
"""HTTP status codes that may be temporary, in addition to 500 and above."""


class DownloadInterrupted(Exception):
    """A failure that a retry may fix; `wait` is the wait in seconds that the server requests."""

    def __init__(self, message: str, wait: float = 0):
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class RetryPolicy:
    """Timeouts in seconds, and retries; a download has no limit on its total time.

    Attributes:
        connect: Timeout of a connection.
        read: Timeout without new bytes.
        tries: Consecutive tries without new bytes after which the download fails.
        first_wait: Wait after the first failure; it doubles after each further one.
        longest_wait: Limit of this wait.
        longest_requested: Limit of the wait that a server requests.
    """

    connect: float = 30
    read: float = 60
    tries: int = 8
    first_wait: float = 1
    longest_wait: float = 60
    longest_requested: float = 600


class Version(NamedTuple):
    """Version of a remote file: size in bytes (None if unknown), ETag or time of the last change ("" if unknown)."""

    size: int | None
    tag: str

    def matches(self, other: "Version") -> bool:
        """Return True unless known sizes or tags differ."""
        return len({self.size, other.size} - {None}) < 2 and len({self.tag, other.tag} - {""}) < 2


class RemoteFile(NamedTuple):
    """A remote file that is open at an offset; `note` describes it in messages."""

    offset: int
    version: Version
    chunks: Iterator[bytes]
    note: str = ""


def resolve_inputs(jets: str, downloads: Path, file_format: str) -> list[Path]:
    """Return the files of a path, folder or URL; a URL is downloaded to the folder `downloads`."""
    ending = ending_of(file_format)
    if "://" in jets:
        file = downloads / (PurePosixPath(urlsplit(jets).path).name or f"jets{ending}")
        download(jets, file)
        return [file]
    files = [Path(file) for file in glob_paths(jets, file_format)]
    if files[0].is_dir():
        raise BadInput(f"{jets}: a folder without any *{ending}")
    return files


def download(
    url: str, file: Path, checksum: str | None = None, size: int | None = None, retry: RetryPolicy | None = None
) -> None:
    """Download a file, unless it is already there and valid; resume where an earlier run stopped.

    Bytes arrive in `.{name}.download`. Without a checksum, the SHA-256 is recorded in `{name}.sha256`, and later
    downloads must match it. A complete file with another checksum is moved to `{name}.wrong`.

    Args:
        url: URL of the file.
        file: Final path.
        checksum: `kind:value` with a kind of `topmass.io.checksums.LENGTHS`; None if unknown.
        size: Size in bytes; None if unknown.
        retry: Timeouts and retries; None for the defaults.

    Raises:
        BadInput: A failure that a retry does not fix.
        OSError: The disk is full or fails.
    """
    expected = parse_checksum(checksum) if checksum else read_record(file, url)
    if not re.match(r"[\w+.-]+://", url):
        raise BadInput(f"{redact_url(url)}: not a URL; expected https://…, root://… or, for a local file, file:///…")
    kind = expected.partition(":")[0] if expected else "sha256"
    if file.exists():
        if expected and size in (None, file.stat().st_size) and compute_checksum(file, kind) == expected:
            log_info(f"{file} exists and is valid")
            return
        log_info(f"{file} exists, but its checksum is unknown or different: downloading it again")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = partial_path(file)
    try:
        with locked(part, file) as opened:
            download_with_retries(url, file, opened, size, retry or RetryPolicy())
            opened.flush()
            os.fsync(opened.fileno())
            received = compute_checksum(part, kind)
            if expected and received != expected:
                part.replace(f"{file}.wrong")
                remove = shlex.join(["rm", str(record_path(file))])
                change = "" if checksum else f" as recorded (if the file may change: `{remove}`)"
                raise BadInput(
                    f"{redact_url(url)}: has {received}; expected {expected}{change}; the download is in {file}.wrong"
                )
            if other := wrong_file(part, file.name):
                part.unlink()
                raise BadInput(f"{redact_url(url)}: the download for {file.name} is {other}")
            if not expected:
                write_record(file, received, url)
                log_info(f"{received}, recorded in {record_path(file)}: later downloads must match it")
            part.replace(file)
    except OSError as error:
        error.filename = str(file)
        raise


def partial_path(file: Path) -> Path:
    """Return the path of the bytes of an incomplete download."""
    return file.with_name(f".{file.name}.download")


def state_path(file: Path) -> Path:
    """Return the path of the URL and version of an incomplete download; it is written before the first byte."""
    return file.with_name(f".{file.name}.download.json")


@contextmanager
def locked(part: Path, file: Path) -> Iterator[IO[bytes]]:
    """Open a partial download for appending, with an exclusive lock; delete it at the end if it is empty."""
    with part.open("ab") as opened:
        # A network file system may have no locks. A download may outlive the run that started it.
        with suppress(OSError):
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"{file}: another process is downloading it; to fix: wait for it, or end it") from None
        if not part.exists() or not os.path.samestat(part.stat(), os.fstat(opened.fileno())):
            raise BadInput(f"{file}: another process has just downloaded it; to fix: start again")
        try:
            yield opened
        finally:
            if not part.exists() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                state_path(file).unlink(missing_ok=True)


def read_state(url: str, file: Path) -> Version | None:
    """Return the version of the partial download of `file`, or None if its state is unreadable or of another URL."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        state = json.loads(state_path(file).read_text(encoding="utf-8"))
        if state["url"] == url_fingerprint(url):
            return Version(state["size"], state["tag"])
    return None


def download_with_retries(url: str, file: Path, opened: IO[bytes], size: int | None, retry: RetryPolicy) -> None:
    """Append the missing bytes to a partial download, with retries; raise BadInput if they do not help."""
    start = furthest = opened.tell()
    began, failures = time.monotonic(), 0
    while True:
        try:
            append_rest(url, file, opened, size, retry)
            break
        except DownloadInterrupted as error:
            failures = 0 if opened.tell() > furthest else failures + 1
            furthest = max(furthest, opened.tell())
            if failures >= retry.tries:
                resume = f"; the next run resumes at {opened.tell():,} bytes" if opened.tell() else ""
                raise BadInput(
                    f"{redact_url(url)}: {error}; gave up after {failures} tries without new bytes{resume}"
                ) from None
            wait = min(retry.first_wait * 2 ** max(0, failures - 1), retry.longest_wait)
            wait = max(wait, min(error.wait, retry.longest_requested))
            log_info(f"{error} (at {opened.tell():,} bytes); retrying in {wait:g} s")
        time.sleep(wait)
    resumed = f", resumed at {start:,}" if start else ""
    log_info(f"{opened.tell():,} bytes in {time.monotonic() - began:.1f} s{resumed}")


def append_rest(url: str, file: Path, opened: IO[bytes], size: int | None, retry: RetryPolicy) -> None:
    """Try once to append the missing bytes; raise DownloadInterrupted if a retry may help, else BadInput."""
    version = read_state(url, file) if opened.tell() else Version(None, "")
    if version is None:
        log_info("starting over: the partial download has no readable state, or is from another URL")
        restart(opened)
        version = Version(None, "")
    open_remote = open_web if re.match("https?://", url, re.IGNORECASE) else open_fsspec
    with open_remote(url, opened.tell(), version, retry) as remote:
        expected = remote.version.size if size is None else size
        if remote.version.size not in (None, expected):
            raise BadInput(f"{redact_url(url)}: has {remote.version.size:,} bytes{remote.note}; expected {size:,}")
        missing, free = (expected or 0) - remote.offset, shutil.disk_usage(file.parent).free
        if missing > free:
            raise BadInput(f"{file}: {missing:,} bytes are missing, and the disk has {free:,} bytes of free space")
        if not remote.offset:
            first = next(remote.chunks, b"")
            if first and (other := wrong_content(file.name, first)):
                raise BadInput(f"{redact_url(url)}: the download for {file.name} is {other}{remote.note}")
            if opened.tell():
                changed = not remote.version.matches(version)
                log_info(f"starting over: {'the file has changed' if changed else 'the server cannot resume'}")
            restart(opened)
            with atomic_write(state_path(file)) as part:
                part.write_text(json.dumps({"url": url_fingerprint(url)} | remote.version._asdict()), encoding="utf-8")
            opened.write(first)
            opened.flush()
        with Progress(file.name, expected, "B", opened.tell()) as progress:
            for chunk in remote.chunks:
                opened.write(chunk)
                opened.flush()
                progress.update(len(chunk))
                if expected is not None and opened.tell() > expected:
                    raise BadInput(f"{redact_url(url)}: has more than the expected {expected:,} bytes")
    if expected is not None and opened.tell() < expected:
        raise DownloadInterrupted(f"the connection ended before {expected:,} bytes")


def restart(opened: IO[bytes]) -> None:
    """Discard all bytes of a partial download."""
    opened.seek(0)
    opened.truncate()


@contextmanager
def open_web(url: str, offset: int, version: Version, retry: RetryPolicy) -> Iterator[RemoteFile]:
    """Open a remote file at an offset, or at its start if its version differs or the server does not support ranges."""
    # Uncompressed, so that sizes and ranges are those of the file.
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-"} | ({"If-Range": version.tag} if version.tag else {})
    with map_errors(url):
        response = requests.get(url, headers=headers, stream=True, timeout=(retry.connect, retry.read))
    with response:
        status, fields = response.status_code, response.headers
        ranged = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", fields.get("Content-Range", ""))
        # Status 416: all bytes have arrived.
        resumed = offset and ranged and ((status == 206 and int(ranged[1] or 0) == offset) or status == 416)
        if status not in (200, 206, 416) or (status != 200 and not offset):
            message = f"the server answers {status} {response.reason}"
            if status >= 500 or status in RETRY_STATUS:
                wait = fields.get("Retry-After", "")
                raise DownloadInterrupted(message, float(wait) if wait.isdecimal() else 0)
            raise BadInput(f"{redact_url(url)}: {message}")
        length = ranged[2] if resumed else fields.get("Content-Length", "")
        # If-Range takes a strong ETag or a time.
        etag = fields.get("ETag", "")
        tag = etag if etag.startswith('"') else fields.get("Last-Modified", "")
        remote_version = Version(int(length) if length.isdecimal() else None, tag)
        is_complete = status == 206 or remote_version.size == offset
        usable = status == 200 or (resumed and remote_version.matches(version) and is_complete)
        if usable:
            note = f" ({redact_url(response.url)}, {fields.get('Content-Type', 'no Content-Type')})"
            # `read1` returns the bytes that have arrived, also those before a broken connection.
            chunks = read_chunks(url, lambda: b"" if status == 416 else response.raw.read1(CHUNK, decode_content=False))
            if fields.get("Content-Encoding", "identity").lower() in ("gzip", "deflate", "br", "zstd"):
                raise BadInput(f"{redact_url(url)}: the server compresses although it was asked not to{note}")
            yield RemoteFile(offset if status != 200 else 0, remote_version, chunks, note)
    if not usable:
        with open_web(url, 0, version, retry) as remote:
            yield remote


def read_chunks(url: str, read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield the bytes that `read` returns until it returns none."""
    while True:
        with map_errors(url):
            chunk = read()
        if not chunk:
            return
        yield chunk


@contextmanager
def open_fsspec(url: str, offset: int, version: Version, retry: RetryPolicy) -> Iterator[RemoteFile]:
    """Open a remote file at an offset, or at its start if its version differs; raises as `open_web`."""
    with map_errors(url):
        options = {"timeout": limit_xrootd(retry), "locate_all_sources": False} if url.startswith("root://") else {}
        system, path = fsspec.url_to_fs(url, skip_instance_cache=True, **options)
        info = system.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError("is a folder, not a file")
        tags = ("ETag", "mtime", "LastModified", "last_modified", "modify", "updated", "created")
        remote_version = Version(info.get("size"), next((str(info[tag]) for tag in tags if info.get(tag)), ""))
        remote = system.open(path, "rb", cache_type="none")
        start = offset if remote_version.matches(version) else 0
        remote.seek(start)
    try:
        yield RemoteFile(start, remote_version, read_chunks(url, lambda: remote.read(CHUNK)))
    finally:
        # Closing a broken connection fails, too.
        with suppress(Exception):
            remote.close()


def limit_xrootd(retry: RetryPolicy) -> int:
    """Shorten the timeouts of the XRootD client, half an hour by default; return the timeout of a request in seconds.

    Its settings are whole seconds, and the user's environment variables have precedence. The client itself tries once,
    because only retries of this module are logged. A silent connection must time out before the request does.
    Otherwise the next request uses the same dead connection.
    """
    from XRootD import client

    connect, silence = (round(max(1, seconds)) for seconds in (retry.connect, retry.read))
    limits = {"ConnectionWindow": connect, "ConnectionRetry": 1, "StreamTimeout": silence, "StreamErrorWindow": 0}
    for name, value in (limits | {"RequestTimeout": 2 * silence + 1, "TimeoutResolution": 1}).items():
        client.EnvPutInt(name, value)
    return 2 * silence + 1


@contextmanager
def map_errors(url: str) -> Iterator[None]:
    """Convert exceptions of requests, fsspec and plugins, except for exhausted resources; see `append_rest`."""
    try:
        yield
    except Exception as error:
        if resource_exhausted(error) in ("memory", "open files"):
            raise
        inner = innermost(error)
        reason = without_secrets(getattr(inner, "strerror", None) or str(inner) or type(inner).__name__, url)
        reason = re.sub("^Failed to submit <.*> request: ", "", reason)  # internals of fsspec-xrootd
        if isinstance(inner, ssl.SSLCertVerificationError):
            reason += "; to trust this server, name the file of its certificate authority in REQUESTS_CA_BUNDLE"
        # Other errors of host-name resolution may be temporary.
        no_host = isinstance(inner, socket.gaierror) and inner.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
        fatal = isinstance(error, FATAL_ERRORS) or isinstance(inner, ssl.SSLCertVerificationError) or no_host
        if fatal or FATAL_XROOTD_ERRORS.search(reason):
            raise BadInput(f"{redact_url(url)}: {reason}") from None
        raise DownloadInterrupted(reason) from None


def innermost(error: BaseException) -> BaseException:
    """Return the root cause of an exception: libraries chain them, or store the cause in an attribute or argument."""
    inner = error.__cause__ or error.__context__ or getattr(error, "reason", None) or next(iter(error.args), None)
    return innermost(inner) if isinstance(inner, BaseException) else error
