"""The way to a server: certificates and proxies of the environment, and names of hosts; each trouble named, at once."""

import importlib.util
import shutil
import subprocess

import pytest

from download import download
from downloads import BODY, BRISK, SHA256, refused
from servers import Fault, free_port, proxy_server, web_server

CERTIFICATES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, and its key, in one file of a folder where OpenSSL finds it."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("certificates")
    both = folder / "own.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=topmass"]
    kind += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", both, "-out", folder / "certificate"]
    subprocess.run(["openssl", "req", "-x509", *kind], check=True, capture_output=True)
    both.write_text(both.read_text() + (folder / "certificate").read_text())
    subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)
    return both


@pytest.mark.parametrize("variable", CERTIFICATES)
def test_certificates_of_ones_own_are_trusted(variable, certificate, file, monkeypatch):
    with web_server(BODY, certificate=certificate) as web:
        message = refused(web.url, file, None, None, BRISK)
        assert "not to be trusted" in message and "REQUESTS_CA_BUNDLE (now none)" in message and not web.log
        monkeypatch.setenv(variable, str(certificate.parent if variable.endswith("DIR") else certificate))
        download(web.url, file, SHA256)
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("variable", CERTIFICATES)
@pytest.mark.parametrize("value", ["{}/none.pem", "{}/empty.pem", "{}/none.pem:{}/none"])
def test_certificates_that_are_none_are_named_at_once(variable, value, web, file, tmp_path, monkeypatch, said):
    (tmp_path / "empty.pem").touch()
    place = value.format(tmp_path, tmp_path)
    monkeypatch.setenv(variable, place)
    message = refused(web.url.replace("http", "https"), file)
    assert f"{variable}={place}: " in message and "again" not in said()
    assert ("no such file" in message) == ("none" in place) and f"unset {variable}" in message
    download(web.url, file)
    web.faults = [Fault(status=302, headers={"Location": web.url.replace("http", "https")})]
    assert f"{variable}={place}: " in refused(web.url, file.with_name("other.parquet"))


def test_a_certificate_of_another_host_is_not_trusted(certificate, file, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with web_server(BODY, certificate=certificate) as web:
        message = refused(web.url.replace("127.0.0.1", "localhost"), file)
    assert "not to be trusted: Hostname mismatch" in message and f"SSL_CERT_FILE={certificate}" in message


def test_certificates_of_a_folder_where_a_file_is_wanted(file, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert f"SSL_CERT_FILE={tmp_path}: " in refused("https://127.0.0.1/jets.parquet", file)


def test_a_server_that_speaks_no_tls(web, file):
    assert "speaks no TLS" in refused(web.url.replace("http", "https"), file)


SECURE = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
"""By a proxy that is asked for the file, and by one that is asked for a tunnel."""


@SECURE
@pytest.mark.parametrize("spelling", [str.upper, str.lower])
@pytest.mark.parametrize("kind", [None, "all"])
def test_a_proxy_is_used(kind, spelling, secure, file, certificate, monkeypatch):
    with web_server(BODY, certificate=certificate if secure else None) as web, proxy_server(web.port) as proxy:
        variable = spelling(f"{kind or web.url.partition(':')[0]}_proxy")
        monkeypatch.setenv(variable, f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        download(web.url, file, SHA256)
    assert file.read_bytes() == BODY and len(proxy.asked) == 1


def behind(address, variable, secure, file, monkeypatch):
    """The line that ends a download behind a proxy at this address, without its secrets."""
    monkeypatch.setenv(variable, address)
    message = refused(f"http{'s' * secure}://jets.invalid/jets.parquet", file, None, None, BRISK)
    assert variable in message and not any(secret in message for secret in ("somebody", "pa%2Fss", "pa/ss"))
    return message


@SECURE
@pytest.mark.parametrize(
    ("status", "words"), [(407, "the proxy wants a user and a password"), (403, "it does not let you")]
)
def test_a_proxy_that_refuses_is_named_and_asked_once(status, words, secure, file, monkeypatch):
    with proxy_server(0, status) as proxy:
        address = f"http://somebody:pa%2Fss@127.0.0.1:{proxy.port}"
        message = behind(address, "HTTPS_PROXY" if secure else "HTTP_PROXY", secure, file, monkeypatch)
    assert f"answers {status} " in message and f"by way of the proxy http://127.0.0.1:{proxy.port} of" in message
    assert words in message and len(proxy.asked) == 1 and proxy.asked[0][1].startswith("Basic ")


@SECURE
def test_a_proxy_that_cannot_now_is_asked_again(secure, file, monkeypatch):
    with proxy_server(0, 503) as proxy:
        message = behind(f"127.0.0.1:{proxy.port}", "ALL_PROXY", secure, file, monkeypatch)
    assert f"answers 503 Service Unavailable, by way of the proxy 127.0.0.1:{proxy.port}" in message
    assert len(proxy.asked) == 3


@SECURE
def test_a_proxy_that_speaks_no_tls(secure, file, monkeypatch):
    with proxy_server(0, 407) as proxy:
        message = behind(f"https://somebody:pa%2Fss@127.0.0.1:{proxy.port}", "ALL_PROXY", secure, file, monkeypatch)
    assert f"speaks no TLS, by way of the proxy https://127.0.0.1:{proxy.port} of ALL_PROXY" in message


@SECURE
def test_a_dead_proxy_is_named(secure, file, monkeypatch):
    host = f"127.0.0.1:{free_port()}"
    message = behind(f"http://somebody:pa%2Fss@{host}", "all_proxy", secure, file, monkeypatch)
    assert f"Connection refused, by way of the proxy http://{host} of all_proxy" in message


@SECURE
def test_a_proxy_without_an_address(secure, file, monkeypatch):
    message = behind("http://somebody:pass@proxy.invalid:3128", "ALL_PROXY", secure, file, monkeypatch)
    assert (
        "the host is not found" in message and "by way of the proxy http://proxy.invalid:3128 of ALL_PROXY" in message
    )


@SECURE
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("socks5h://somebody:pa%2Fss@host:1080", "the proxy socks5h://host:1080 of all_proxy wants a package that is"),
        ("foo://somebody:pa%2Fss@host:1", "the proxy foo://host:1 of all_proxy is malformed: write http://host:port"),
        ("http://somebody:pa%2Fss@host:99999", "the proxy http://host:99999 of all_proxy is malformed"),
        ("http://somebody:pa/ss@host:1", "the proxy http://host:1 of all_proxy is malformed"),
        ("http://somebody:pa%2Fss:host:1", "the proxy … of all_proxy is malformed"),
        ("http://", "the proxy … of all_proxy is malformed"),
        ("::::", "the proxy … of all_proxy is malformed"),
        ("http://host..invalid:1", "the proxy http://host..invalid:1 of all_proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_at_once(address, words, secure, file, monkeypatch, said):
    if address.startswith("socks") and importlib.util.find_spec("socks"):
        pytest.skip("the package is not missing here")
    assert words in behind(address, "all_proxy", secure, file, monkeypatch)
    assert "trying again" not in said()


@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "root"])
def test_a_host_that_is_not_found_is_one_line(scheme, file):
    if scheme == "root":
        pytest.importorskip("XRootD")
    message = refused(f"{scheme}://jets.invalid//jets.parquet", file, None, None, BRISK)
    assert message.startswith(f"{scheme}://jets.invalid//jets.parquet: ") and "the host is not found: " in message
