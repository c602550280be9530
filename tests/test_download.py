"""Downloads from real servers on this machine, with all that goes wrong on the way."""

import fcntl
import gzip
import hashlib
import importlib.util
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import replace

import fsspec
import pytest

from conftest import REPOSITORY
from download import download
from downloads import BODY, BRISK, OTHER, SHA256, around, follow, refused
from servers import Fault, free_port, proxy_server, relay, web_server, xrootd_server
from topmass.console import stage
from topmass.io.checksums import LENGTHS, compute_checksum
from topmass.io.download import RetryPolicy, partial_path, state_path
from topmass.io.locations import redact_url, url_fingerprint, without_secrets


def test_a_file_comes_whole_and_checked_and_nothing_else_is_left(web, file, said):
    download(web.url, file, SHA256, len(BODY))
    assert file.read_bytes() == BODY and around(file) == ["jets.parquet"]
    assert "1,000,000 bytes in " in said() and "resumed" not in said()


def test_an_empty_file(file):
    with web_server(b"") as web:
        download(web.url, file.with_suffix(".txt"))
        assert file.with_suffix(".txt").read_bytes() == b""
        assert "empty" in refused(web.url, file.with_name("other.parquet"))


# what goes wrong on the way


def test_a_connection_cut_again_and_again_goes_on_where_it_was(web, file, said):
    web.faults = [Fault(cut=200_000), Fault(cut=0), Fault(cut=0), Fault(cut=300_000), Fault(cut=1), Fault(cut=0)]
    download(web.url, file, SHA256, retry=BRISK)
    assert file.read_bytes() == BODY
    starts = [0, 200_000, 200_000, 200_000, 500_000, 500_001, 500_001]
    assert [asked.range for asked in web.log] == [f"bytes={start}-" if start else None for start in starts]
    assert [asked.status for asked in web.log] == [200] + [206] * 6
    assert sum(asked.sent for asked in web.log) == len(BODY)
    assert said().count("retrying") == 6 and "(at 200,000 bytes); retrying in 0.02 s" in said()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_an_error_of_the_server_is_waited_out(status, web, file, said):
    web.faults = [Fault(status=status), Fault(status=status)]
    download(web.url, file, SHA256, retry=BRISK)
    assert file.read_bytes() == BODY and f"the server answers {status} " in said()


def test_a_server_that_asks_for_time_gets_it_within_reason(web, file):
    web.faults = [Fault(status=429, headers={"Retry-After": "3600"})]
    began = time.monotonic()
    download(web.url, file, SHA256, retry=replace(BRISK, longest_requested=0.4))
    assert 0.4 <= time.monotonic() - began < 3 and len(web.log) == 2


def test_a_server_that_keeps_failing_is_one_line_and_what_came_is_kept(web, file):
    web.faults = [Fault(cut=100_000)] + [Fault(status=503)] * 10
    message = refused(web.url, file, None, None, BRISK)
    assert "gave up after 3 tries" in message and "503" in message and "resumes at 100,000 bytes" in message
    web.faults = []
    download(web.url, file, SHA256)
    assert web.log[-1].range == "bytes=100000-" and file.read_bytes() == BODY


def test_nobody_there_is_one_line(file):
    message = refused(f"http://127.0.0.1:{free_port()}/jets", file, None, None, BRISK)
    assert "Connection refused" in message and around(file) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_no_other_try_would_mend_is_refused_at_once(status, web, file):
    web.faults = [Fault(status=status)]
    assert str(status) in refused(web.url, file, None, None, BRISK)
    assert len(web.log) == 1 and around(file) == []


def test_a_slow_server_is_not_a_dead_one(web, file):
    web.body = BODY[:10_000] + BODY[-10_000:]
    web.faults = [Fault(pace=0.05, step=1000)]
    download(web.url, file, retry=BRISK)
    assert file.read_bytes() == web.body and len(web.log) == 1


def test_a_stalled_connection_is_given_up_and_the_rest_asked_for(web, file, said):
    web.faults = [Fault(stall=400_000)]
    download(web.url, file, SHA256, retry=BRISK)
    assert web.log[-1].range == "bytes=400000-" and "timed out" in said()


def test_a_server_that_announces_too_much_is_one_line(web, file):
    web.faults = [Fault(claim=1000)] * 10
    assert "gave up" in refused(web.url, file, None, None, BRISK)
    assert not file.exists()


def test_a_server_that_announces_too_little_is_refused_for_size_or_checksum(web, file):
    web.faults = [Fault(claim=-1000)] * 2
    assert "has 999,000 bytes" in refused(web.url, file, None, len(BODY), BRISK)
    assert not partial_path(file).exists()
    assert "jets.parquet.wrong" in refused(web.url, file, SHA256, None, BRISK)


def test_no_length_at_all(web, file):
    web.faults = [Fault(chunked=True, cut=300_000), Fault(chunked=True)]
    download(web.url, file, SHA256, retry=BRISK)
    assert file.read_bytes() == BODY and web.log[-1].range == "bytes=300000-"


def test_more_than_it_should_be_is_not_taken(web, file):
    web.faults = [Fault(chunked=True)]
    assert "more than the expected 5,000 bytes" in refused(web.url, file, None, 5000, BRISK)
    assert not file.exists()


# going on, or starting over


@pytest.mark.parametrize(
    "marks",
    [
        ({"etag": '"first"'}, {"etag": '"second"'}),
        (
            {"etag": None, "modified": "Fri, 01 Jan 2021 00:00:00 GMT"},
            {"modified": "Sat, 02 Jan 2021 00:00:00 GMT"},
        ),
        (
            {"etag": 'W/"first"', "modified": "Fri, 01 Jan 2021 00:00:00 GMT"},
            {"modified": "Sat, 02 Jan 2021 00:00:00 GMT"},
        ),
        ({"etag": None}, {}),
    ],
    ids=["etag", "time", "weak etag", "size"],
)
def test_a_file_that_changes_in_between_is_fetched_anew(marks, file, said):
    before, after = marks

    def change(web):
        web.body = OTHER
        for name, value in after.items():
            setattr(web, name, value)

    with web_server(BODY, **before) as web:
        web.faults = [Fault(cut=500_000, then=change)]
        download(web.url, file, retry=BRISK)
        assert file.read_bytes() == OTHER and web.log[1].range == "bytes=500000-"
    assert said().count("starting over: the file has changed") == 1


def test_a_server_that_heeds_range_but_not_if_range_does_not_mix_two_files(file):
    with web_server(BODY) as web:
        web.faults = [Fault(cut=500_000), Fault(status=404)]
        refused(web.url, file, None, None, BRISK)
        web.body, web.etag, web.heeds_if_range = OTHER, '"second"', False
        download(web.url, file)
        assert file.read_bytes() == OTHER and [asked.status for asked in web.log] == [200, 404, 206, 200]


def test_a_server_without_ranges_starts_over(file, said):
    with web_server(BODY, ranges=False) as web:
        web.faults = [Fault(cut=500_000)]
        download(web.url, file, SHA256, retry=BRISK)
        assert file.read_bytes() == BODY
    assert "starting over: the server cannot resume" in said()


def test_a_server_without_ranges_that_always_cuts_is_given_up(file):
    with web_server(BODY, ranges=False) as web:
        web.faults = [Fault(cut=500_000)] * 20
        assert "gave up after 3 tries" in refused(web.url, file, SHA256, None, BRISK)
        assert len(web.log) == 4


def test_a_part_that_is_whole_already_is_moved_in(web, file):
    leave(web.url, file, BODY, len(BODY))
    download(web.url, file, SHA256)
    assert file.read_bytes() == BODY and [asked.status for asked in web.log] == [416]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(web, file):
    leave(web.url, file, BODY + b"more", None)
    download(web.url, file, SHA256)
    assert file.read_bytes() == BODY and [asked.status for asked in web.log] == [416, 200]


def leave(url, file, data, size):
    """What a run leaves that is killed after `data`."""
    file.parent.mkdir()
    partial_path(file).write_bytes(data)
    state_path(file).write_text(json.dumps({"url": url_fingerprint(url), "size": size, "tag": '"first"'}))


@pytest.mark.parametrize("state", ["", "{", "[]", '{"source": 1}', '{"source": "x", "size": "1", "tag": ""}', None])
def test_a_part_without_a_state_to_read_is_thrown_away(state, web, file, said):
    leave(web.url, file, b"other bytes", 1000)
    state_path(file).unlink() if state is None else state_path(file).write_text(state)
    download(web.url, file, SHA256)
    assert file.read_bytes() == BODY and web.log[0].range is None and "no readable state" in said()


@pytest.mark.parametrize("change", [lambda url: url + "2", lambda url: url + "?file=2"])
def test_a_part_of_another_url_is_thrown_away(change, web, file, said):
    leave(web.url, file, b"other bytes", 1000)
    download(change(web.url), file, SHA256)
    assert file.read_bytes() == BODY and web.log[0].range is None and "another URL" in said()


def another_process(url, file, **settings):
    """A download that runs in a process of its own."""
    code = "import sys, pathlib, download; download.download(sys.argv[1], pathlib.Path(sys.argv[2]))"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "workflow/scripts")}
    return subprocess.Popen([sys.executable, "-c", code, url, file], env=environment, **settings)


def in_another_process(url, file, until):
    """Start a download in a process, wait for so many bytes, and kill it without a warning."""
    with another_process(url, file) as running:
        for _ in range(1000):
            if partial_path(file).exists() and partial_path(file).stat().st_size >= until:
                break
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    return partial_path(file).stat().st_size


def test_a_killed_run_goes_on_and_asks_for_the_rest_only(web, file, said):
    web.faults = [Fault(pace=0.05)]
    there = in_another_process(web.url, file, 200_000)
    assert 200_000 <= there < len(BODY) and not file.exists()
    download(web.url, file, SHA256)
    assert file.read_bytes() == BODY and around(file) == ["jets.parquet"]
    assert web.log[-1].range == f"bytes={there}-" and web.log[-1].sent == len(BODY) - there
    assert f"resumed at {there:,}" in said()


def test_two_downloads_of_one_file_do_not_mix(web, file):
    web.faults = [Fault(stall=100_000)]
    first = threading.Thread(target=download, args=[web.url, file, SHA256, None, replace(BRISK, read=1.5)])
    first.start()
    while not partial_path(file).exists() or not partial_path(file).stat().st_size:
        time.sleep(0.01)
    assert "another process is downloading it" in refused(web.url, file, SHA256)
    first.join()
    assert file.read_bytes() == BODY


def test_a_terminal_sees_how_far_it_is_and_a_log_does_not(web, file):
    leave(web.url, file, BODY[:500_000], len(BODY))
    web.faults = [Fault(pace=0.05)]
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    with another_process(web.url, file, stderr=far) as running:
        os.close(far)
        seen = b""
        with suppress(OSError):  # the end of a terminal
            while data := os.read(near, 4096):
                seen += data
        assert running.wait() == 0
    os.close(near)
    assert b"jets.parquet:  50%" in seen and b"500k/1.00M" in seen and b"B/s" in seen
    file.unlink()
    with another_process(web.url, file, stderr=subprocess.PIPE) as running:
        assert running.stderr.read() == b""


# sizes, checksums and what is there already


def test_another_size_is_refused_before_the_body(web, file):
    assert "has 1,000,000 bytes" in refused(web.url, file, SHA256, 5)
    assert around(file) == []


@pytest.mark.parametrize("kind", LENGTHS)
def test_every_kind_of_checksum_in_capitals_too(kind, web, file):
    value = f"{zlib.adler32(BODY):08x}" if kind == "adler32" else hashlib.new(kind, BODY).hexdigest()
    web.faults = [Fault(cut=123_456)]
    download(web.url, file, f"{kind}:{value.upper()}", retry=BRISK)
    assert file.read_bytes() == BODY and around(file) == ["jets.parquet"]


def test_a_wrong_checksum_sets_the_file_aside(web, file):
    message = refused(web.url, file, "sha256:" + "0" * 64)
    assert SHA256 in message and "0" * 64 in message and f"{file}.wrong" in message
    assert around(file) == ["jets.parquet.wrong"] and file.with_name("jets.parquet.wrong").read_bytes() == BODY


@pytest.mark.parametrize(
    "text", ["sha1:" + "0" * 40, "0" * 64, "sha256:0", "md5:" + "g" * 32, "adler32:123456789", ":"]
)
def test_a_checksum_that_is_none_is_named(text, web, file):
    assert repr(text) in refused(web.url, file, text)
    assert web.log == [] and not file.parent.exists()


def test_the_first_checksum_is_noted_and_held_against_the_next(web, file, said):
    download(web.url, file)
    record = file.with_name("jets.parquet.sha256")
    assert SHA256 in said() and record.read_text().endswith(f"\n{SHA256[7:]}  jets.parquet\n")
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", record.name], cwd=file.parent, check=True, capture_output=True)
    file.unlink()
    download(web.url, file)
    file.unlink()
    web.body, web.etag = OTHER, '"second"'
    follow(refused(web.url, file))
    download(web.url, file)
    assert file.read_bytes() == OTHER


def test_a_damaged_file_does_not_pass_for_the_new_one_when_the_advice_is_followed(web, file):
    download(web.url, file)
    file.write_bytes(BODY[:100] + b"damaged" + BODY[107:])
    web.body, web.etag = BODY[:500] + b"another edition" + BODY[515:], '"second"'
    message = refused(web.url, file)
    assert file.with_name("jets.parquet.wrong").read_bytes() == web.body
    follow(message)
    download(web.url, file)
    assert file.read_bytes() == web.body


def test_a_file_of_another_url_does_not_pass_for_that_of_this_one(file, said):
    """Of one name and size: only what is noted tells them apart."""
    alike = BODY[:8] + BODY[8:-8][::-1] + BODY[-8:]
    with web_server(BODY) as first, web_server(alike) as second:
        download(first.url, file)
        download(second.url, file)
        assert file.read_bytes() == alike and "checksum is unknown or different" in said()
        second.log.clear()
        download(second.url, file)
        assert second.log == []


def test_a_record_that_is_none_is_named(web, file):
    file.parent.mkdir()
    file.with_name("jets.parquet.sha256").write_text("nonsense")
    assert "jets.parquet.sha256: not written by topmass; to fix: delete it" in refused(web.url, file)


@pytest.mark.parametrize("known", ["checksum", "record"])
def test_what_is_there_and_right_is_not_fetched_again(known, web, file, said):
    download(web.url, file, None, None)
    record = file.with_name("jets.parquet.sha256")
    if known != "record":
        record.unlink()
    web.log.clear()
    download(web.url, file, SHA256 if known == "checksum" else None)
    assert web.log == [] and "exists and is valid" in said() and record.exists() == (known == "record")


@pytest.mark.parametrize("known", ["checksum", "record", "size", "nothing"])
def test_what_is_there_and_wrong_stays_until_the_new_one_is_whole(known, web, file):
    download(web.url, file, None, None)
    file.write_bytes(b"other")
    if known != "record":
        file.with_name("jets.parquet.sha256").unlink()
    arguments = (SHA256 if known == "checksum" else None, len(BODY) if known == "size" else None, BRISK)
    web.faults = [Fault(cut=1000)] + [Fault(status=500)] * 3
    refused(web.url, file, *arguments)
    assert file.read_bytes() == b"other"
    download(web.url, file, *arguments)
    assert file.read_bytes() == BODY


# disks


def test_what_does_not_fit_is_refused_before_the_body(web, small_disk):
    message = refused(web.url, small_disk / "jets", SHA256)
    assert "bytes are missing" in message
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_is_one_line_and_the_part_stays(web, small_disk, tmp_path, capsys):
    web.faults = [Fault(chunked=True)]
    with pytest.raises(SystemExit), stage("download", str(tmp_path / "log")):
        download(web.url, small_disk / "jets", SHA256)
    assert capsys.readouterr().err == f"download: error: {small_disk / 'jets'}: no space left on device\n"
    assert 0 < partial_path(small_disk / "jets").stat().st_size < 65536
    subprocess.run(["mount", "-o", "remount,size=2m", small_disk], check=True)
    download(web.url, small_disk / "jets", SHA256)
    assert (small_disk / "jets").read_bytes() == BODY and web.log[-1].status == 206


# other kinds of URL


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("gopher://host/file", "gopher"),
        ("sftp://host/file", "paramiko"),
        ("simplecache::https://host/file", "not a URL"),
        ("jets.parquet", "not a URL"),
        ("/data/jets.parquet", "file:///"),
        ("https:///jets", "No host"),
        ("http://[::1/jets", "not a valid host"),
        ("file:///no/such/file", "No such file"),
        ("file:///tmp", "folder"),
        ("memory://nothing", "nothing"),
        ("zip://nothing", "zip"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(url, words, file):
    assert words in refused(url, file, None, None, BRISK)
    assert not file.parent.exists() or around(file) == []


def test_a_file_of_this_machine(tmp_path, file):
    (tmp_path / "source; touch evil").write_bytes(BODY)
    download(f"file://{tmp_path}/source; touch evil", file, SHA256, len(BODY))
    assert file.read_bytes() == BODY and sorted(path.name for path in tmp_path.iterdir()) == [
        "download", "source; touch evil",
    ]  # fmt: skip


def test_what_else_fsspec_speaks_goes_on_too(file, said):
    with fsspec.open("memory://jets", "wb") as opened:
        opened.write(BODY)
    created = str(fsspec.filesystem("memory").info("/jets")["created"])
    file.parent.mkdir()
    partial_path(file).write_bytes(BODY[:1000])
    state = {"url": url_fingerprint("memory://jets"), "size": len(BODY), "tag": created}
    state_path(file).write_text(json.dumps(state))
    download("memory://jets", file, SHA256)
    assert file.read_bytes() == BODY and "resumed at 1,000" in said()


# secrets


def test_nothing_of_user_password_and_query_is_shown_or_written(web, file, tmp_path, capsys):
    url = web.url.replace("http://", "http://somebody:pa%2Fss@") + "?token=hidden"
    web.faults = [Fault(cut=1000), Fault(status=404)]
    with pytest.raises(SystemExit), stage("download", str(tmp_path / "log")):
        download(url, file, None, None, BRISK)
    written = [path.read_text("latin-1") for path in (state_path(file), tmp_path / "log")]
    for text in (capsys.readouterr().err, *written):
        assert "127.0.0.1" in text
        assert not any(secret in text for secret in ("somebody", "pa%2Fss", "pa/ss", "hidden"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://host/a@b:c", "https://host/a@b:c"),
        ("https://host:80/a@b", "https://host:80/a@b"),
        ("https://somebody@host", "https://host"),
        ("https://somebody:pa/s?s@host/a", "https://host/a"),
        ("https://host/a?b@c#d", "https://host/a?…"),
        ("somebody:pass@host", "host"),
    ],
)
def test_a_url_is_shown_without_secrets(url, words):
    assert redact_url(url) == words and not {"somebody", "pa"} & set(url_fingerprint(url).split(":"))


def test_messages_from_elsewhere_lose_their_secrets():
    url = "root://somebody:pa%2Fss@host//jets?authz=hidden"
    assert redact_url(url) == "root://host//jets?…"
    assert without_secrets(f"cannot open {url}\n  (as pa/ss with authz=hidden)", url) == (
        "cannot open root://host//jets?… (as … with …)"
    )


# other content than the file


PAGE = b"\xef\xbb\xbf\n<!-- sign on --><!DOCTYPE html><html><title>Log in</title></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f1e\nsize 1171158319\n"
OTHERS = {
    "a page to log in at": (PAGE, {"Content-Type": "text/html"}, "an HTML page, perhaps a login page"),
    "a Git LFS pointer": (POINTER, {}, "a Git LFS pointer; to fix: run `git lfs pull`"),
    "a git-annex pointer": (b"/annex/objects/SHA256E-s9--0f.parquet\n", {}, "a git-annex pointer"),
    "an error in XML": (b'<?xml version="1.0"?><Error/>', {}, "is not a parquet file but text"),
    "an error in JSON": (b'{"message": "not found"}', {"Content-Type": "application/json"}, "application/json"),
    "gzip": (gzip.compress(BODY), {"Content-Encoding": "gzip"}, "the server compresses although"),
    "comments": (b"<!---->" * 1000, {}, "is not a parquet file"),
}


@pytest.mark.parametrize(("body", "headers", "words"), OTHERS.values(), ids=OTHERS)
def test_other_content_than_the_file_is_refused_and_leaves_nothing(body, headers, words, web, file):
    web.body, web.headers = body, headers
    message = refused(web.url, file)
    assert words in message and web.url in message and len(web.log) == 1
    assert around(file) == []
    web.body, web.headers = BODY, {}
    download(web.url, file)
    assert file.read_bytes() == BODY


def test_first_bytes_that_come_one_by_one(web, file):
    web.faults, web.headers = [Fault(cut=1), Fault(cut=2)], {"Content-Encoding": "aws-chunked"}
    download(web.url, file, retry=BRISK)
    assert file.read_bytes() == BODY


def test_a_page_in_the_middle_keeps_what_is_there(web, file):
    web.faults = [Fault(cut=400_000), Fault(status=404)]
    refused(web.url, file, None, None, BRISK)
    web.body, web.etag = PAGE, None
    assert "an HTML page" in refused(web.url, file)
    web.body, web.etag = BODY, '"first"'
    download(web.url, file)
    assert web.log[-1].range == "bytes=400000-" and file.read_bytes() == BODY


@pytest.mark.parametrize(
    ("name", "body"), [("BuildFile.xml", b"<use name=root/>"), ("page.html", PAGE), ("jets.root", b"root\x00")]
)
def test_other_files_are_taken_under_their_own_names(name, body, web, file):
    web.body = body
    download(web.url, file.with_name(name))
    assert around(file) == [name, f"{name}.sha256"]


@pytest.mark.parametrize(("name", "body"), [("jets.root", PAGE), ("BuildFile.xml", POINTER), ("download", PAGE)])
def test_pages_and_pointers_are_not(name, body, web, file):
    web.body = body
    assert f"the download for {name} is " in refused(web.url, file.with_name(name))
    assert around(file) == []


def test_a_parquet_file_without_its_end(web, file):
    web.body = BODY[:-10]
    web.faults = [Fault(chunked=True)]
    assert "its end is missing" in refused(web.url, file)
    assert around(file) == []


# certificates and proxies


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, and its key, in one file of a folder."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("certificates")
    both = folder / "own.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=topmass"]
    kind += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", both, "-out", folder / "certificate"]
    subprocess.run(["openssl", "req", "-x509", *kind], check=True, capture_output=True)
    both.write_text(both.read_text() + (folder / "certificate").read_text())
    return both


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_ones_own_are_trusted(variable, certificate, file, monkeypatch):
    with web_server(BODY, certificate=certificate) as web:
        message = refused(web.url, file, None, None, BRISK)
        assert "certificate verify failed" in message and "REQUESTS_CA_BUNDLE" in message and not web.log
        monkeypatch.setenv(variable, str(certificate))
        download(web.url, file, SHA256)
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_proxy_is_used(secure, file, certificate, monkeypatch):
    with web_server(BODY, certificate=certificate if secure else None) as web, proxy_server(web.port) as proxy:
        monkeypatch.setenv(f"{web.url.partition(':')[0]}_proxy".upper(), f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        download(web.url, file, SHA256)
    assert file.read_bytes() == BODY and len(proxy.asked) == 1


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("address", ["somebody:pa%2Fss@127.0.0.1:1", "somebody:pass@proxy.invalid:3128", "host:99999"])
def test_a_proxy_that_cannot_be_used_is_one_line_without_secrets(address, secure, file, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"http://{address}")
    message = refused(f"http{'s' * secure}://jets.invalid/jets.parquet", file, None, None, BRISK)
    assert message.startswith(f"http{'s' * secure}://jets.invalid/jets.parquet: ")
    assert not any(secret in message for secret in ("somebody", "pa%2Fss", "pa/ss", "pass@"))


@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "root"])
def test_a_host_that_is_not_found_is_one_line(scheme, file):
    if scheme == "root":
        pytest.importorskip("XRootD")
    message = refused(f"{scheme}://jets.invalid//jets.parquet", file, None, None, BRISK)
    assert message.startswith(f"{scheme}://jets.invalid//jets.parquet: ")


# XRootD


@pytest.fixture
def xrootd():
    if not shutil.which("xrootd"):
        pytest.skip("no xrootd here (Debian: xrootd-server)")
    if not importlib.util.find_spec("XRootD") or not importlib.util.find_spec("fsspec_xrootd"):
        pytest.skip("fsspec-xrootd and its client are not installed")
    with xrootd_server() as server:
        (server.folder / "jets.parquet").write_bytes(BODY * 12)
        yield server


LARGE = f"sha256:{hashlib.sha256(BODY * 12).hexdigest()}"
STEADY = RetryPolicy(connect=2, read=2, tries=6, first_wait=0.1, longest_wait=1)


def test_xrootd(xrootd, file):
    download(xrootd.url("jets.parquet"), file, LARGE, 12_000_000)
    assert compute_checksum(file, "sha256") == LARGE and around(file) == ["jets.parquet"]
    assert "has 12,000,000 bytes" in refused(xrootd.url("jets.parquet"), file.with_name("again"), None, 5)
    assert "no such file" in refused(xrootd.url("none.parquet"), file.with_name("none"))
    assert "folder" in refused(xrootd.url(""), file.with_name("none"))


def test_xrootd_a_killed_run_goes_on_and_reads_the_rest_only(xrootd, file):
    with relay(xrootd.port, pace=8e6) as counting:
        url = xrootd.url("jets.parquet", counting.port)
        there = in_another_process(url, file, 3_000_000)
        assert 3_000_000 <= there < 12_000_000
        time.sleep(0.1)
        counting.pace = counting.came = 0
        download(url, file, LARGE, retry=STEADY)
        assert 0 <= counting.came - (12_000_000 - there) < 10_000
    assert compute_checksum(file, "sha256") == LARGE


def test_xrootd_a_file_that_changes_in_between_is_fetched_anew(xrootd, file, said):
    with relay(xrootd.port, pace=8e6) as slow:
        url = xrootd.url("jets.parquet", slow.port)
        in_another_process(url, file, 3_000_000)
        (xrootd.folder / "jets.parquet").write_bytes(OTHER)
        download(url, file, retry=STEADY)
    assert file.read_bytes() == OTHER and "starting over: the file has changed" in said()


def test_xrootd_a_server_that_dies_and_comes_back(xrootd, file):
    def crash():
        while not partial_path(file).exists() or partial_path(file).stat().st_size < 3_000_000:
            time.sleep(0.01)
        xrootd.stop()
        time.sleep(0.5)
        xrootd.start()

    with relay(xrootd.port, pace=8e6) as slow:
        crashing = threading.Thread(target=crash)
        crashing.start()
        download(xrootd.url("jets.parquet", slow.port), file, LARGE, retry=STEADY)
        crashing.join()
        assert slow.connections > 1 and slow.came < 12_000_000 + 2 * (1 << 21) + 100_000
    assert compute_checksum(file, "sha256") == LARGE


def test_xrootd_a_dead_server_is_one_line_soon(file):
    pytest.importorskip("XRootD")
    began = time.monotonic()
    message = refused(f"root://127.0.0.1:{free_port()}//jets", file, None, None, replace(STEADY, tries=3))
    assert "gave up after 3 tries" in message and time.monotonic() - began < 10


def test_xrootd_a_connection_that_stalls_is_given_up_and_the_rest_read(xrootd, file):
    with relay(xrootd.port, pace=8e6) as slow:

        def freeze():
            while not partial_path(file).exists() or partial_path(file).stat().st_size < 3_000_000:
                time.sleep(0.01)
            slow.pace = 1
            time.sleep(0.5)
            slow.pace = 0

        freezing = threading.Thread(target=freeze)
        freezing.start()
        download(xrootd.url("jets.parquet", slow.port), file, LARGE, retry=replace(STEADY, read=1))
        freezing.join()
        assert slow.connections > 1 and slow.came < 12_000_000 + 2 * (1 << 21) + 100_000
    assert compute_checksum(file, "sha256") == LARGE


def test_xrootd_a_silent_server_is_one_line_soon(file):
    pytest.importorskip("XRootD")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        url = f"root://127.0.0.1:{silent.getsockname()[1]}//jets"
        message = refused(url, file, None, None, replace(STEADY, read=1, tries=1))
    assert "gave up" in message and time.monotonic() - began < 10
