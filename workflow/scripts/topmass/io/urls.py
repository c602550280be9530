"""URLs in messages and records, without user, password and query."""

import hashlib
import re
from urllib.parse import unquote

URL = re.compile(r"([^:/?#]+://)?([^/?#]*@|[^@/?#]*:(?!\d*(?:[/?#]|$)).*@)?([^?#]*)(.*)", re.DOTALL)
"""Groups: scheme; user and password (unescaped special characters are allowed); host and path; query."""


def redact_url(url: str) -> str:
    """Return the URL for messages, without user, password and query, which may contain a token."""
    scheme, _, path, query = URL.fullmatch(url).groups()
    return f"{scheme or ''}{path}{'?…' if query else ''}"


def url_fingerprint(url: str) -> str:
    """Return an identifier of a URL without secrets: the redacted URL and a digest of its query."""
    return redact_url(url) + hashlib.sha256(URL.fullmatch(url)[4].encode()).hexdigest()


def without_secrets(text: str, url: str) -> str:
    """Return a message on one line, without the secrets of a URL that it may quote."""
    _, user, _, query = URL.fullmatch(url).groups()
    password = (user or "").removesuffix("@").partition(":")[2]
    text = text.replace(url, redact_url(url)).replace(user or "\0", "")
    for secret in filter(None, (password, unquote(password), query[1:])):
        text = text.replace(secret, "…")
    return " ".join(text.split())
