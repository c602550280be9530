"""User paths and URLs: expansion of paths, and URLs without user, password and query."""

import hashlib
import os
import re
from pathlib import Path
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


def expand_variables(path: str) -> str:
    """Expand `~` and environment variables in a path."""
    return os.path.expandvars(os.path.expanduser(path))


def ending_of(file_format: str) -> str:
    """Return the ending of the names of files of a format."""
    return ".parquet" if file_format == "parquet" else ".root"


def glob_paths(path: str, file_format: str = "parquet") -> list[str]:
    """Return the files of a folder, sorted by name; for any other path, the path itself, even if missing.

    `~` and environment variables are expanded. Files of a folder count if their names have the ending of the format.
    """
    expanded = expand_variables(path)
    parts = sorted(Path(expanded).glob(f"*{ending_of(file_format)}"))
    return [str(part) for part in parts if part.is_file()] or [expanded]
