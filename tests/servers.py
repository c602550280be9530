"""Servers on this machine to download from: a web server with faults on command, a proxy, XRootD, a counting relay."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Fault:
    """What goes wrong with one answer; the default is nothing.

    `status` answers that and no file; `cut` closes the connection after so many bytes of the body, `stall` goes
    silent after so many; `claim` is added to the length that is announced; `pace` is the pause in seconds after each
    `step` bytes; `chunked` announces no length. `then` is called with the `Web` once the answer has been sent.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: int | None = None
    claim: int = 0
    pace: float = 0
    step: int = 1 << 16
    chunked: bool = False
    then: Callable[["Web"], object] | None = None


@dataclass
class Asked:
    """One request: method, path, the headers `Range` and `If-Range` (or None), the status, the bytes of body sent."""

    method: str
    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0


@dataclass
class Web:
    """A web server that gives `body` under any path. `faults` are used up, one a GET; then all goes well.

    `headers` go with every answer; `certificate` is a file with one and its key, for https.
    """

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    etag: str | None = '"first"'
    modified: str | None = None
    ranges: bool = True
    heeds_if_range: bool = True
    faults: list[Fault] = field(default_factory=list)
    log: list[Asked] = field(default_factory=list)
    port: int = 0
    quiet: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}/jets.parquet"

    @property
    def gets(self) -> list[Asked]:
        return [asked for asked in self.log if asked.method == "GET"]


@contextmanager
def web_server(body: bytes, **settings) -> Iterator[Web]:
    """Run a `Web` with these settings on a free port of this machine."""
    web = Web(body, **settings)
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"web": web}))
    web.port = server.server_address[1]
    if web.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(web.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.quiet.set()
        server.shutdown()
        server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of a client that has gone, which is what the tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(Fault())

    def do_GET(self):
        self.answer(self.web.faults.pop(0) if self.web.faults else Fault())

    def answer(self, fault: Fault) -> None:
        web, asked = self.web, Asked(self.command, self.path, self.headers["Range"], self.headers["If-Range"])
        web.log.append(asked)
        asked.status, start = self.status_and_start()
        body = web.body[start:]
        headers = {"ETag": web.etag, "Last-Modified": web.modified} | web.headers
        if fault.status:
            asked.status, body, headers = fault.status, b"", fault.headers
        elif asked.status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(web.body) - 1}/{len(web.body)}"
        elif asked.status == 416:
            body, headers = b"", headers | {"Content-Range": f"bytes */{len(web.body)}"}
        self.send_response(asked.status)
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) + fault.claim)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            with suppress(ConnectionError):
                self.send_body(body, fault, asked)
        if fault.then:
            fault.then(web)

    def status_and_start(self) -> tuple[int, int]:
        """What RFC 9110 says about `Range` and `If-Range`."""
        web, asked = self.web, re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = self.headers["If-Range"] in (None, web.etag, web.modified) or not web.heeds_if_range
        if not asked or not web.ranges or not same:
            return 200, 0
        return (206, int(asked[1])) if int(asked[1]) < len(web.body) else (416, 0)

    def send_body(self, body: bytes, fault: Fault, asked: Asked) -> None:
        end = min(len(body), *(limit for limit in (fault.cut, fault.stall, len(body)) if limit is not None))
        for start in range(0, end, fault.step):
            data = body[start : min(start + fault.step, end)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if fault.chunked else data)
            asked.sent += len(data)
            time.sleep(fault.pace)
        if fault.stall is not None:
            self.web.quiet.wait()
        if fault.cut is not None or fault.claim:
            self.close_connection = True
        elif fault.chunked:
            self.wfile.write(b"0\r\n\r\n")


@dataclass
class Proxy:
    """A web proxy that sends everything on to the port `target`; `asked` are the lines that begin a request."""

    target: int
    asked: list[str] = field(default_factory=list)
    port: int = 0


@contextmanager
def proxy_server(target: int) -> Iterator[Proxy]:
    """Run a `Proxy` on a free port of this machine."""
    proxy = Proxy(target)
    server = Server(("127.0.0.1", 0), type("Handler", (ProxyHandler,), {"proxy": proxy}))
    proxy.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


class ProxyHandler(BaseHTTPRequestHandler):
    proxy: Proxy

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.pass_on()

    def do_CONNECT(self):
        self.pass_on()

    def pass_on(self) -> None:
        """Send one request and its answer on; or, for CONNECT, whatever follows."""
        proxy, self.close_connection = self.proxy, True
        proxy.asked.append(self.requestline)
        far = socket.create_connection(("127.0.0.1", proxy.target))
        if self.command == "CONNECT":
            self.wfile.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
        else:
            far.sendall(f"{self.requestline}\r\nHost: jets\r\nConnection: close\r\n\r\n".encode())
        passing = Relay(proxy.target)
        threading.Thread(target=passing.pass_on, args=[self.connection.dup(), far.dup(), False], daemon=True).start()
        passing.pass_on(far, self.connection.dup(), True)


class XRootD:
    """An XRootD server that gives what lies in `folder`; it may be stopped and started again on the same port."""

    def __init__(self, home: Path):
        self.home, self.folder, self.port = home, home / "data", free_port()
        self.log = home / "topmass" / "xrootd.log"
        self.process: subprocess.Popen | None = None
        for folder in (home, self.folder, home / "admin"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        (home / "xrootd.cfg").write_text(
            f"xrd.port {self.port}\nall.export /\noss.localroot {self.folder}\nall.adminpath {home}/admin\n"
            f"all.pidpath {home}/admin\nxrd.network nodnr\n"
        )

    def url(self, name: str, port: int | None = None) -> str:
        """Where the file `name` of `folder` is, perhaps by way of a relay at another port."""
        return f"root://127.0.0.1:{port or self.port}//{name}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # It refuses to run as root: whoever that is has it run as somebody who may do nothing.
        user = ["-R", "nobody"] if os.geteuid() == 0 else []
        command = ["xrootd", *user, "-c", self.home / "xrootd.cfg", "-l", self.home / "xrootd.log", "-n", "topmass"]
        # And what else it writes, beside its number.
        command += ["-s", self.home / "admin/xrootd.pid"]
        self.process = subprocess.Popen(command, cwd=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"xrootd does not start: {[log.read_text() for log in self.home.rglob('*.log')]}")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def xrootd_server() -> Iterator[XRootD]:
    """Run an `XRootD` in a folder of its own, which anybody may read."""
    # Pytest's folders are closed to others.
    home = Path(tempfile.mkdtemp(prefix="topmass-xrootd-", dir="/tmp"))
    server = XRootD(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Relay:
    """Passes every connection to `target` on; `came` are the bytes back, at most `pace` bytes a second if not 0.

    `connections` is their number so far.
    """

    target: int
    pace: float = 0
    came: int = 0
    connections: int = 0
    port: int = 0

    def pass_on(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with suppress(OSError), source, sink:
            while data := source.recv(1 << 16):
                if back:
                    self.came += len(data)
                    time.sleep(len(data) / self.pace if self.pace else 0)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(target: int, pace: float = 0) -> Iterator[Relay]:
    """Run a `Relay` to the port `target` of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        passing = Relay(target, pace, port=listening.getsockname()[1])
        threading.Thread(target=accept, args=[listening, passing], daemon=True).start()
        yield passing
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def accept(listening: socket.socket, passing: Relay) -> None:
    with suppress(OSError):
        while True:
            near, _ = listening.accept()
            passing.connections += 1
            try:
                far = socket.create_connection(("127.0.0.1", passing.target))
            except OSError:
                near.close()
                continue
            for ends in ((near, far, False), (far, near, True)):
                threading.Thread(target=passing.pass_on, args=ends, daemon=True).start()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]
