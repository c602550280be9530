"""What comes in place of a file: called by its name, never noted as right, and forgotten once the server is mended."""

import gzip
import hashlib

import pytest

from download import download
from downloads import BODY, BRISK, SHA256, around, follow, refused
from servers import Fault

PAGE = b"\xef\xbb\xbf\n<!-- sign on --><!DOCTYPE html><html><title>Log in</title></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f1e\nsize 1171158319\n"
OTHERS = {
    "a page to log in at": (
        PAGE,
        {"Content-Type": "text/html; charset=utf-8"},
        "an HTML page, perhaps one to log in at",
    ),
    "a Git LFS pointer": (POINTER, {}, "a Git LFS pointer: the file itself lies elsewhere: `git lfs pull`"),
    "a git-annex pointer": (b"/annex/objects/SHA256E-s9--0f.parquet\n", {}, "a git-annex pointer"),
    "an error in XML": (
        b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
        {},
        "XML: it may say why: look at it",
    ),
    "an error in JSON": (
        b'{"message": "not found"}',
        {"Content-Type": "application/json"},
        "JSON (application/json): ",
    ),
    "an error in text": (b"not found", {}, "text: "),
    "gzip": (gzip.compress(BODY), {"Content-Encoding": "gzip"}, "compressed (Content-Encoding: gzip): the server was"),
    "brotli": (b"\x8b\x02\x80jets\x03", {"Content-Encoding": "br"}, "compressed (Content-Encoding: br): "),
    "a file in gzip": (gzip.compress(BODY), {}, "gzip: fetch and unpack it by hand"),
    "a ROOT file": (b"root\x00\x00", {}, "a ROOT file: convert it"),
    "other bytes": (bytes(range(256)), {}, "something unknown"),
}


@pytest.mark.parametrize(("body", "headers", "words"), OTHERS.values(), ids=OTHERS)
def test_what_is_not_the_file_is_called_by_its_name_and_leaves_nothing(body, headers, words, web, file):
    web.body, web.headers = body, headers
    message = refused(web.url, file)
    assert f"{web.url}: what comes for jets.parquet is {words}" in message and len(web.log) == 1
    assert around(file) == []
    web.body, web.headers = BODY, {}
    download(web.url, file)
    assert file.read_bytes() == BODY


def test_first_bytes_that_come_one_by_one(web, file):
    web.faults, web.headers = [Fault(cut=1), Fault(cut=2)], {"Content-Encoding": "aws-chunked"}
    download(web.url, file, patience=BRISK)
    assert file.read_bytes() == BODY


def test_a_page_of_nothing_but_comments(web, file):
    web.body = b"<!---->" * 1000
    assert "is XML" in refused(web.url, file)


def test_a_page_that_a_request_is_sent_on_to(web, file):
    web.body, web.headers = PAGE, {"Content-Type": "text/html"}
    web.faults = [Fault(status=302, headers={"Location": "/login?token=hidden"})]
    message = refused(web.url, file)
    assert f"(text/html, after a redirect to http://127.0.0.1:{web.port}/login?…)" in message


def test_a_page_in_the_middle_costs_nothing_of_what_is_there(web, file):
    for checksum in (None, SHA256):
        web.body, web.faults = BODY, [Fault(cut=400_000), Fault(status=404)]
        refused(web.url, file, checksum, None, BRISK)
        web.body, web.etag = PAGE, None
        assert "an HTML page" in refused(web.url, file, checksum)
        web.body, web.etag = BODY, '"first"'
        download(web.url, file, checksum)
        assert web.log[-1].range == "bytes=400000-" and file.read_bytes() == BODY
        file.unlink()


def test_a_checksum_that_is_given_decides(web, file):
    """Over what bytes look like; and where it is wrong, the line says what they look like."""
    web.body, web.headers, web.ranges = gzip.compress(BODY), {"Content-Encoding": "gzip"}, False
    web.faults = [Fault(cut=1000)]
    download(web.url, file, f"md5:{hashlib.md5(web.body).hexdigest()}", patience=BRISK)
    assert file.read_bytes() == web.body
    web.body = PAGE
    message = refused(web.url, file, SHA256)
    assert f"{SHA256} as wanted; it is an HTML page" in message and f"kept as {file}.wrong" in message


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("BuildFile.xml", b"<use name=root/>"),
        ("page.html", PAGE),
        ("sample.json", b'{"jets": 1}'),
        ("jets.root", b"root\x00"),
        ("jets.parquet.gz", gzip.compress(BODY)),
    ],
)
def test_other_files_are_taken_under_their_own_names(name, body, web, file):
    web.body, web.headers = body, {"Content-Encoding": "gzip"} if name.endswith(".gz") else {}
    download(web.url, file.with_name(name))
    assert around(file) == [name, f"{name}.sha256"]


@pytest.mark.parametrize(("name", "body"), [("jets.root", PAGE), ("BuildFile.xml", POINTER), ("download", PAGE)])
def test_and_pages_and_pointers_are_not(name, body, web, file):
    web.body = body
    assert f"what comes for {name} is a" in refused(web.url, file.with_name(name))
    assert around(file) == []


def test_a_parquet_file_without_its_end(web, file):
    web.body = BODY[:-10]
    web.faults = [Fault(chunked=True)]
    assert "it is not a whole parquet file: its end is missing; what came is kept as" in refused(web.url, file)
    assert around(file) == ["jets.parquet.wrong"]


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("size", [None, len(BODY)])
def test_a_page_that_an_older_run_took_for_the_file(removed, size, web, file, said):
    """Its checksum has been noted as the right one."""
    file.parent.mkdir()
    file.write_bytes(PAGE)
    file.with_name("jets.parquet.sha256").write_text(f"{hashlib.sha256(PAGE).hexdigest()}  jets.parquet\n")
    if removed:
        file.unlink()
        follow(refused(web.url, file, None, size))
    download(web.url, file, None, size)
    assert file.read_bytes() == BODY and removed != ("jets.parquet is an HTML page" in said())
    assert SHA256[7:] in file.with_name("jets.parquet.sha256").read_text()


def test_a_page_without_a_note_is_not_right_for_its_size(web, file):
    file.parent.mkdir()
    file.write_bytes(PAGE)
    web.body = PAGE
    assert "an HTML page" in refused(web.url, file)
    assert around(file) == ["jets.parquet"]
