"""What is read of a piece of evidence, whatever form it has."""

import base64
import json

import pytest

from flows.actions.extraction import search
from flows.actions.extraction.readable import decode, texts


def observables(content: bytes, **hints: str) -> list[tuple[str, str]]:
    return [*search([(content, hints.get("name", ""), hints.get("media_type", ""))]).items]


ADDRESS = [("ip", "203.0.113.9")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_text_in_the_encodings_that_windows_writes(encoding):
    assert observables("login from 203.0.113.9, user Jürgen".encode(encoding)) == ADDRESS


def test_text_in_no_encoding_at_all():
    assert observables(b"J\xfcrgen from 203.0.113.9") == ADDRESS


def test_bytes_that_are_no_text_give_only_what_is_certain():
    content = b"MZ\x90\x00\x03" + b"\x00" * 40 + b"kernel32.com\x00http://evil-site.com/a\x00" + b"\xff\xfe\x00" * 9
    assert observables(content) == [("url", "http://evil-site.com/a"), ("domain", "evil-site.com")]


def test_wide_strings_in_bytes_are_read():
    content = b"MZ\x00\x01\x02\xff" + "http://evil-site.com/a".encode("utf-16-le") + b"\x00\xff\xff"
    assert ("url", "http://evil-site.com/a") in observables(content)


def test_strings_of_json_are_read_and_keys_are_not():
    content = json.dumps({"setup.sh.com": {"list": ["203.0.113.9", 7, None, True]}}).encode()
    assert observables(content) == ADDRESS


def test_json_in_the_strings_of_json_is_read():
    inner = json.dumps({"url": "http://evil-site.com/a"}).replace("/", "\\/")
    outer = json.dumps({"message": json.dumps([inner])}).encode()
    assert ("url", "http://evil-site.com/a") in observables(outer)


def test_requirements_and_versions_in_json_are_not_read():
    content = json.dumps(
        {"rule": {"pci_dss": ["10.2.4.1"]}, "ProductVersion": "7.0.5.11", "ip": "203.0.113.9"}
    ).encode()
    assert observables(content) == ADDRESS


def test_one_json_document_to_a_line():
    content = b'{"a": "203.0.113.9"}\n\n{"b": "evil-site.com"}\n'
    assert observables(content) == [*ADDRESS, ("domain", "evil-site.com")]


@pytest.mark.parametrize(
    "content", [b"[" * 100_000 + b'"203.0.113.9"', b'{"a":' * 5000 + b'"203.0.113.9"', b'{"a": "203.0.113.9"']
)
def test_json_that_cannot_be_read_is_read_as_text(content):
    assert observables(content) == ADDRESS


def test_a_url_in_a_table_ends_with_its_cell():
    content = b"url,type\nhttp://evil-site.com/a,url\n"
    assert observables(content, name="list.csv")[0] == ("url", "http://evil-site.com/a")
    assert observables(content, media_type="text/csv")[0] == ("url", "http://evil-site.com/a")


def test_a_table_that_cannot_be_read_is_read_as_text():
    assert ("ip", "203.0.113.9") in observables(b'"203.0.113.9,' + b"x" * 200_000, name="list.csv")


def test_a_page_is_read_as_people_see_it():
    page = b"<html><body>write to desk@<b>phish</b>-kit<!-- x -->.com or <td>one-site.net</td><td>two-site.net</td>"
    assert {("email", "desk@phish-kit.com"), ("domain", "one-site.net"), ("domain", "two-site.net")} <= set(
        observables(page)
    )


def test_links_and_scripts_of_a_page_are_read_and_its_code_is_not():
    page = b"<html><a href='http://evil-site.com/?a=1&amp;b=2'>x</a><script>window.name = self.id; go('http://bad-site.com/')"
    assert {value for kind, value in observables(page) if kind == "domain"} == {"evil-site.com", "bad-site.com"}
    assert ("url", "http://evil-site.com/?a=1&b=2") in observables(page)


def message(body: str, *, kind: str = "text/plain", encoding: str = "8bit") -> bytes:
    head = f"From: a@sender-host.com\r\nSubject: x\r\nMessage-ID: <1@id-host.com>\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Transfer-Encoding: {encoding}\r\n\r\n{body}".encode()


def test_a_message_is_read_in_its_encoding():
    body = base64.b64encode(b"see http://evil-site.com/a").decode()
    assert ("url", "http://evil-site.com/a") in observables(message(body, encoding="base64"))


def test_ids_and_signatures_of_a_message_are_not_read():
    assert ("domain", "id-host.com") not in observables(message("x"))
    assert ("email", "a@sender-host.com") in observables(message("x"))


def test_a_page_in_a_message_is_read_as_a_page():
    body = "<a href=3D'http://evil-site.com/?a=3D1&amp;b=3D2'>x</a>"
    found = observables(message(body, kind="text/html", encoding="quoted-printable"))
    assert ("url", "http://evil-site.com/?a=1&b=2") in found


def test_a_message_in_a_message_is_read():
    inner = message("http://evil-site.com/a").decode()
    assert ("url", "http://evil-site.com/a") in observables(message(inner, kind="message/rfc822"))


def test_messages_in_messages_come_to_an_end():
    content = message("http://evil-site.com/a")
    for _ in range(30):
        content = message(content.decode(), kind="message/rfc822")
    assert ("url", "http://evil-site.com/a") in observables(content)


def test_a_message_that_cannot_be_read_is_read_as_text():
    content = message("http://evil-site.com/a")
    for number in range(2000):
        boundary = f"b{number}"
        content = message(f"--{boundary}\r\n{content.decode()}", kind=f"multipart/mixed; boundary={boundary}")
    assert ("url", "http://evil-site.com/a") in observables(content)


def test_nothing_is_nothing():
    assert observables(b"") == []
    assert [one.content for one in texts(b"")] == [""]


@pytest.mark.parametrize("content", [b"\x00\x01\x02\x03", bytes(range(256)) * 4])
def test_bytes_are_no_text(content):
    assert decode(content) is None
