"""What an answer of a web server means that is none to go on with, and what it means that none came."""

import re
import socket
import ssl
from contextlib import suppress

import requests
from urllib3.exceptions import InvalidHeader, LocationValueError, ReadTimeoutError
from urllib3.util import Retry

from topmass.files import BadInput
from topmass.sources.remote import NO_SUCH_HOST, Interrupted, Patience, shown
from topmass.sources.way import certificates_named

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
    407: "the proxy wants a user and a password: write http://user:password@host:port in that variable",
    410: "the file is no longer there",
}


def check_status(response: requests.Response, url: str, ranged: bool, by: str) -> None:
    """Raise what `refusal` makes of an answer other than 200, and 206 and 416 where a range was asked for."""
    status = response.status_code
    if status != 200 and not (status in (206, 416) and ranged):
        raise refusal(status, response.reason, url, by, wait_asked(response))


def refusal(status: int, reason: str, url: str, by: str, wait: float = 0) -> Exception:
    """`Interrupted` for an answer that may be another later, `BadInput` for one that will not."""
    words = f"the server answers {status} {reason}{by}"
    if status >= 500 or status in NOT_NOW:
        return Interrupted(words, wait)
    return BadInput(f"{shown(url)}: {words}: {ADVICE.get(status, 'this is not an answer to go on with')}")


def failure(error: Exception, url: str, patience: Patience, by: str = "") -> Exception:
    """What to raise for a request that could not be sent or broke; `by` says by which proxy it went."""
    if isinstance(error, NEVER):
        return BadInput(f"{shown(url)}: it leads nowhere ({type(error).__name__}): see whether the URL is right")
    if isinstance(error, requests.ConnectTimeout):
        return Interrupted(f"no connection within {patience.connect:g} s{by}")
    if isinstance(error, requests.ReadTimeout | ReadTimeoutError):
        return Interrupted(f"nothing came for {patience.read:g} s{by}")
    inner = innermost(error)
    if tunnel := re.search(r"Tunnel connection failed: (\d+) (.*)", str(inner)):
        return refusal(int(tunnel[1]), tunnel[2], url, by)
    if isinstance(inner, ssl.SSLCertVerificationError):
        words = f"the server's certificate is not to be trusted{by}: {inner.verify_message}"
        return BadInput(f"{shown(url)}: {words}; {certificates_named()}")
    if isinstance(inner, ssl.SSLError) and inner.reason == "WRONG_VERSION_NUMBER":
        return BadInput(f"{shown(url)}: what answers speaks no TLS{by}: see whether it should be http:// there")
    if isinstance(inner, UnicodeError | LocationValueError):
        return BadInput(f"{shown(url)}: no host can have such a name{by}")
    if isinstance(inner, socket.gaierror):
        return Interrupted(f"the host is not found: {inner.strerror}{by}", once=inner.errno in NO_SUCH_HOST)
    return Interrupted((getattr(inner, "strerror", None) or "the connection was cut") + by)


def innermost(error: Exception) -> Exception:
    """What was at the bottom of an error."""
    # The libraries chain what they raise, or keep it in a name or an argument of their own.
    inner = error.__cause__ or error.__context__ or getattr(error, "reason", None) or next(iter(error.args), None)
    return innermost(inner) if isinstance(inner, Exception) else error


def wait_asked(response: requests.Response) -> float:
    """The seconds to wait that the server asks for; 0 where it does not, or in no known way."""
    with suppress(InvalidHeader, ValueError):
        return Retry().get_retry_after(response.raw) or 0
    return 0
