"""The way to a web server as the environment sets it: which certificates are trusted, and by which proxy it goes."""

import os
import re
import ssl

from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, RequestException
from requests.utils import select_proxy
from urllib3.exceptions import LocationValueError
from urllib3.util.ssl_ import create_urllib3_context

from topmass.files import BadInput

INSTEAD = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name the certificates to trust, and no others; the first that is set counts."""
BESIDE = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables of OpenSSL: to be trusted beside those that come with `requests`. The second is a list of folders."""
PROXY = re.compile(r"([\w+.-]+://)?(?:.*@)?((?:[\w.-]+|\[[\w:.]+\])(?::\d*)?)/?", re.DOTALL)
"""Scheme, user and password, host and port."""


class Way(HTTPAdapter):
    """Takes a request to its server. `by` says, for messages, by which proxy the last one went; "" for none."""

    by = ""

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        """As in `requests`, but a proxy that cannot be used is `BadInput` with the variable that named it."""
        proxy = select_proxy(request.url, proxies)
        self.by = f", by way of {in_words(proxy, request.url)}" if proxy else ""
        try:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        except (RequestException, LocationValueError) as error:
            if not proxy:
                raise
            malformed = "is malformed: write http://host:port or http://user:password@host:port there"
            socks = "wants a package that is missing: python -m pip install PySocks"
            why = socks if isinstance(error, InvalidSchema) else malformed
            raise BadInput(f"{in_words(proxy, request.url)} {why}, or unset it") from None

    def build_connection_pool_key_attributes(self, request, verify, cert=None):
        """As in `requests`, with what OpenSSL trusts by default and by its own variables."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, pool | ({"ssl_context": trusted()} if host["scheme"] == "https" else {})


def in_words(proxy: str, url: str) -> str:
    """A proxy without its user and password, and the variable of the environment that names it for this URL."""
    scheme = url.partition(":")[0].lower()
    names = [f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"]
    variable = next((name for name in names if os.environ.get(name) == proxy), "the system's settings")
    parts = PROXY.fullmatch(proxy)
    return f"the proxy {(parts[1] or '') + parts[2] if parts else '…'} of {variable}"


def trusted() -> ssl.SSLContext:
    """What to check certificates with, beside those that `requests` knows of; `BadInput` if a variable names none."""
    context = create_urllib3_context()
    instead = [name for name in INSTEAD if os.environ.get(name)][:1]
    for variable in instead or [name for name in BESIDE if os.environ.get(name)]:
        check_certificates(variable, os.environ[variable])
    if not instead:
        context.load_default_certs()
    return context


def check_certificates(variable: str, value: str) -> None:
    """Raise `BadInput` if a variable names neither a folder nor a file of certificates."""
    places = value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]
    if variable != "SSL_CERT_FILE" and any(os.path.isdir(place) for place in places):
        return
    try:
        if variable == "SSL_CERT_DIR":
            os.listdir(value)
        else:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
        return
    except ssl.SSLError:
        why = "not a file of certificates (PEM)"
    except OSError as error:
        why = error.strerror.lower()
    raise BadInput(f"{variable}={value}: {why}; name the certificates to trust there, or unset {variable}")


def certificates_named() -> str:
    """What to do about a certificate that is not trusted, for messages."""
    named = [f"{name}={os.environ[name]}" for name in (*INSTEAD, *BESIDE) if os.environ.get(name)]
    return f"if it should be, name the file of its authority in REQUESTS_CA_BUNDLE (now {', '.join(named) or 'none'})"
