"""A remote file as every kind of server gives it: its edition, its bytes from an offset on, and what can go wrong."""

import hashlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

NO_SUCH_HOST = (socket.EAI_NONAME, socket.EAI_NODATA)
"""Of the errors of finding a host, those that are answers; others may go by."""


class Interrupted(Exception):
    """The server or the way to it failed so that another try may help; the message says how, in a few words.

    `wait` is how long the server asks to be left alone, in seconds; `once` says that another try helps only where one
    has succeeded before.
    """

    def __init__(self, message: str, wait: float = 0, once: bool = False):
        super().__init__(message)
        self.wait, self.once = wait, once


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    A file may take any time as a whole. `tries` in a row that bring nothing new are the end; between them the
    wait doubles from `first_wait` to `longest_wait`, and a server that asks for more gets up to `longest_asked`.
    """

    connect: float = 30
    read: float = 60
    tries: int = 8
    first_wait: float = 1
    longest_wait: float = 60
    longest_asked: float = 600

    def wait_after(self, fruitless: int, asked: float) -> float:
        """The wait after so many tries in a row that brought nothing, where the server asks for `asked` seconds."""
        doubled = min(self.first_wait * 2 ** max(0, fruitless - 1), self.longest_wait)
        return max(doubled, min(asked, self.longest_asked))


@dataclass(frozen=True)
class Edition:
    """What tells one edition of a remote file from the next: size in bytes, and a tag (ETag or time of change).

    None and "" where the server says nothing.
    """

    size: int | None
    tag: str

    def may_be(self, other: "Edition") -> bool:
        """Whether nothing that both know speaks against their being the same."""
        sizes, tags = {self.size, other.size} - {None}, {self.tag, other.tag} - {""}
        return len(sizes) < 2 and len(tags) < 2


UNKNOWN = Edition(None, "")


@dataclass(frozen=True)
class Remote:
    """An opened file: the offset of the first byte of `chunks`, its edition, and its bytes to the end.

    `encoding` is how HTTP has compressed them, and `told` what the server says of them, for messages.
    Reading `chunks` raises `Interrupted`, and `topmass.files.BadInput` where another try would not help.
    """

    offset: int
    edition: Edition
    chunks: Iterator[bytes]
    encoding: str = ""
    told: str = ""


URL = re.compile(r"([^:/?#]+://)?([^/?#]*@|[^@/?#]*:(?!\d*(?:[/?#]|$)).*@)?([^?#]*)(.*)", re.DOTALL)
"""Scheme, user and password (also one with signs that should have been escaped), host and path, query."""


def on_web(url: str) -> bool:
    """Whether the URL is one of a web server."""
    return re.match("https?://", url, re.IGNORECASE) is not None


def shown(url: str) -> str:
    """The URL as messages may show it: without user, password and query, which may hold a token."""
    scheme, _, path, query = URL.fullmatch(url).groups()
    return f"{scheme or ''}{path}{'?…' if query else ''}"


def identity(url: str) -> str:
    """What is the same for the same file, and holds no secret: as shown, and the query as a digest."""
    return shown(url) + hashlib.sha256(URL.fullmatch(url)[4].encode()).hexdigest()


def without_secrets(text: str, url: str) -> str:
    """A message from elsewhere, which may quote the URL or parts of it, in one line and with all secrets struck out."""
    _, user, _, query = URL.fullmatch(url).groups()
    password = (user or "").removesuffix("@").partition(":")[2]
    text = text.replace(url, shown(url)).replace(user or "\0", "")
    for secret in filter(None, (password, unquote(password), query[1:])):
        text = text.replace(secret, "…")
    return " ".join(text.split())
