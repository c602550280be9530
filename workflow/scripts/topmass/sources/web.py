"""A file on a web server: open it at an offset, in the edition asked for or else from its start."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from urllib3.exceptions import HTTPError

from topmass.files import BadInput
from topmass.sources.answers import check_status, failure
from topmass.sources.remote import Edition, Interrupted, Patience, Remote, shown
from topmass.sources.way import Way

CHUNK = 1 << 18
NOT_COMPRESSED = {"Accept-Encoding": "identity"}
"""So that sizes and ranges are those of the file."""
CODINGS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress"}
"""What compresses; servers also write other words, which change nothing."""


@contextmanager
def open_web(url: str, offset: int, edition: Edition, patience: Patience) -> Iterator[Remote]:
    """Ask for the bytes from `offset` on of this edition; where the server has another, or cannot, for all of them."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    if offset and edition.tag:
        headers["If-Range"] = edition.tag
    with answered("GET", url, headers, patience) as response:
        found = remote_of(response, offset, patience)
        usable = found is not None and (found.offset == 0 or found.edition.may_be(edition))
        if usable:
            yield found
    if not usable:
        with open_web(url, 0, edition, patience) as found:
            yield found


def size_on_web(url: str, patience: Patience) -> int | None:
    """The size in bytes as the server says it when asked for nothing else; None where it does not."""
    try:
        with answered("HEAD", url, {}, patience) as response:
            return announced(response)
    except (BadInput, Interrupted):
        return None


def remote_of(response: requests.Response, offset: int, patience: Patience) -> Remote | None:
    """The file from `offset` or from 0 on; None where the server sends neither."""
    given = response.headers.get("Content-Range", "")
    if response.status_code == 206:
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", given)
        if not part or int(part[1]) != offset:
            return None
        size = None if part[2] == "*" else int(part[2])
        return Remote(offset, Edition(size, tag(response)), chunks(response, patience), *labels(response))
    if response.status_code == 416:
        # Where the part is whole already there is nothing left to send.
        return Remote(offset, Edition(offset, tag(response)), iter(())) if given == f"bytes */{offset}" else None
    return Remote(0, Edition(announced(response), tag(response)), chunks(response, patience), *labels(response))


@contextmanager
def answered(method: str, url: str, headers: dict[str, str], patience: Patience) -> Iterator[requests.Response]:
    """Send a request; yield its answer if it is one to go on with: 200, and 206 and 416 where a range was asked for."""
    way, timeout = Way(), (patience.connect, patience.read)
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, way)
        try:
            response = session.request(
                method, url, headers=NOT_COMPRESSED | headers, stream=True, timeout=timeout, allow_redirects=True
            )
        except (requests.RequestException, HTTPError, OSError) as error:
            raise failure(error, url, patience, way.by) from None
        with response:
            check_status(response, url, "Range" in headers, way.by)
            yield response


def chunks(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """The bytes of the body as they arrive, none of them held back when the connection is cut."""
    try:
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise failure(error, response.url, patience) from None


def announced(response: requests.Response) -> int | None:
    """The number of bytes that an answer says its body has."""
    given = response.headers.get("Content-Length", "")
    return int(given) if given.isdecimal() else None


def tag(response: requests.Response) -> str:
    """A strong ETag, else the time of the last change: what `If-Range` takes."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def labels(response: requests.Response) -> tuple[str, str]:
    """One of CODINGS, "" for none; and for messages the Content-Type, and where the request was sent on to."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    encoding = encoding if encoding in CODINGS else ""
    told = [response.headers.get("Content-Type", "").partition(";")[0]]
    if response.history:
        told.append(f"after a redirect to {shown(response.url)}")
    told = ", ".join(filter(None, told))
    return encoding, told and f" ({told})"
