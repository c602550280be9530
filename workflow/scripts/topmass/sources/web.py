"""A file on a web server: open it at an offset, in the edition asked for or else from its start."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from topmass.files import BadInput
from topmass.sources.remote import Edition, Interrupted, Patience, Remote, shown

CHUNK = 1 << 18
NOT_COMPRESSED = {"Accept-Encoding": "identity"}
"""So that sizes and ranges are those of the file."""
NOT_NOW = {408, 425, 429}
"""Besides all from 500 on, the answers that may be others later."""
NEVER = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
)
ADVICE = {
    401: "it wants a user and a password",
    403: "it does not let you have this file",
    404: "there is no such file: see whether the URL is right",
    410: "the file is no longer there",
}


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
        return Remote(offset, Edition(size, tag(response)), chunks(response, patience))
    if response.status_code == 416:
        # Where the part is whole already there is nothing left to send.
        return Remote(offset, Edition(offset, tag(response)), iter(())) if given == f"bytes */{offset}" else None
    return Remote(0, Edition(announced(response), tag(response)), chunks(response, patience))


@contextmanager
def answered(method: str, url: str, headers: dict[str, str], patience: Patience) -> Iterator[requests.Response]:
    """Send a request; yield its answer if it is one to go on with: 200, and 206 and 416 where a range was asked for."""
    try:
        response = requests.request(
            method, url, headers=NOT_COMPRESSED | headers, stream=True, timeout=(patience.connect, patience.read),
            allow_redirects=True,
        )  # fmt: skip
    except NEVER as error:
        raise BadInput(f"{shown(url)}: {in_words(type(error).__name__)}: see whether the URL is right") from None
    except (requests.RequestException, HTTPError, OSError) as error:
        raise failure(error, url, patience) from None
    with response:
        status = response.status_code
        if status >= 500 or status in NOT_NOW:
            raise Interrupted(f"the server answers {status} {response.reason}", wait_asked(response))
        if status != 200 and not (status in (206, 416) and "Range" in headers):
            advice = ADVICE.get(status, "this is not an answer to go on with")
            raise BadInput(f"{shown(url)}: the server answers {status} {response.reason}: {advice}")
        yield response


def chunks(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """The bytes of the body as they arrive, none of them held back when the connection is cut."""
    try:
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise failure(error, response.url, patience) from None


def failure(error: Exception, url: str, patience: Patience) -> Exception:
    """What to raise for a connection that was not made or broke."""
    if isinstance(error, requests.ConnectTimeout):
        return Interrupted(f"no connection within {patience.connect:g} s")
    if isinstance(error, requests.ReadTimeout | ReadTimeoutError):
        return Interrupted(f"nothing came for {patience.read:g} s")
    inner = error
    while following := inner.__cause__ or inner.__context__ or getattr(inner, "reason", None):
        if not isinstance(following, Exception):
            break
        inner = following
    if isinstance(inner, ssl.SSLCertVerificationError):
        return BadInput(f"{shown(url)}: the server's certificate is not to be trusted: {inner.verify_message}")
    return Interrupted(getattr(inner, "strerror", None) or "the connection was cut")


def announced(response: requests.Response) -> int | None:
    """The number of bytes that an answer says its body has."""
    given = response.headers.get("Content-Length", "")
    return int(given) if given.isdecimal() else None


def tag(response: requests.Response) -> str:
    """A strong ETag, else the time of the last change: what `If-Range` takes."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def wait_asked(response: requests.Response) -> float:
    """The seconds to wait that the server asks for, in either way of saying it; 0 where it does not."""
    given = response.headers.get("Retry-After", "")
    if given.isdecimal():
        return float(given)
    try:
        return max(0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0


def in_words(name: str) -> str:
    """`InvalidURL` as "invalid url"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
