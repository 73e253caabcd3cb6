"""Messages as they really arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.actions.messages import MAX_PARTS, addresses, decoded_header, looks_like_message, read_message

PLAIN = b"From: Bob <bob@a-host.com>\r\nTo: x@y-host.com\r\nSubject: Hi\r\n\r\nbody"


def read(head: str, body: str = "x", encoding: str = "utf-8"):
    return read_message(f"{head}\r\n\r\n{body}".encode(encoding))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bob <Bob@A-Host.com>", ["bob@a-host.com"]),
        ("bob@a-host.com", ["bob@a-host.com"]),
        ("bob@a-host.com (ceo@corp-host.com)", ["bob@a-host.com"]),
        ('"ceo@corp-host.com" <bob@a-host.com>', ["bob@a-host.com"]),
        ('"ceo\\" <ceo@corp-host.com>," <bob@a-host.com>', ["bob@a-host.com"]),
        ("ceo@corp-host.com <bob@a-host.com>", ["bob@a-host.com"]),
        ("=?utf-8?Q?ceo=40corp-host=2Ecom?= <bob@a-host.com>", ["bob@a-host.com"]),
        ("a@a-host.com, B <b@a-host.com>; c@a-host.com", ["a@a-host.com", "b@a-host.com", "c@a-host.com"]),
        ("team: a@a-host.com, b@a-host.com;", ["a@a-host.com", "b@a-host.com"]),
        ("undisclosed-recipients:;", []),
        ("<", []),
        (",,;;<>(((", []),
        ("Bob\r\n <bob@a-host.com>", ["bob@a-host.com"]),
        ('"never closed <ceo@corp-host.com>', []),
        ("", []),
    ],
)
def test_addresses_of_a_header(header, expected):
    assert addresses(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("=?utf-8?B?SsO8cmdlbg?=", "Jürgen"),
        ("=?iso-8859-1?Q?J=FCrgen_X?=", "Jürgen X"),
        ("=?utf-8?Q?a?= =?utf-8?Q?b?= c", "ab c"),
        ("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?broken=ZZ?=", "broken=ZZ"),
        ("=?nope?Q?a=C3=BC?=", "aü"),
        ("=?utf-8?B?A?=", "=?utf-8?B?A?="),
        ("=?utf-8*en?Q?a?=", "a"),
        ("=?utf-8?Q?two=0D=0Alines?=", "two lines"),
        ("a\r\n b\r\n\tc", "a b c"),
        ("nul\0here", "nul here"),
    ],
)
def test_headers_as_people_read_them(header, expected):
    assert decoded_header(header) == expected


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        b"\r\n\r\n" + PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        b"From nobody Mon Sep 17 00:00:00 2001\r\n" + PLAIN,
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"\r\n", b"\r"),
    ],
)
def test_what_looks_like_a_message(content):
    assert looks_like_message(content)
    assert read_message(content).header("subject") == "Hi"


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"From": "a", "To": "b"}', b"Subject: one header alone\n\nx", b"text\nFrom: a\nTo: b\n", b"\x00"],
)
def test_what_does_not_look_like_a_message(content):
    assert not looks_like_message(content)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_headers_outside_ascii_are_read(encoding):
    message = read("From: Jürgen <j@a-host.com>\r\nSubject: Grüße", encoding=encoding)
    assert message.header("subject") == "Grüße"
    assert message.addresses("from") == ["j@a-host.com"]


def test_a_header_that_is_there_twice():
    message = read("From: a@a-host.com\r\nFrom: b@b-host.com\r\nfrom: a@a-host.com")
    assert message.all("from") == ["a@a-host.com", "b@b-host.com", "a@a-host.com"]
    assert message.addresses("from") == ["a@a-host.com", "b@b-host.com"]


def test_endless_headers_are_cut():
    message = read("Subject: " + "a" * 100_000 + "\r\nContent-Type: text/plain; " + ";" * 100_000)
    assert len(message.header("subject")) < 20_000
    assert len(message.header("content-type")) <= 2_048
    assert message.parts[0].text() == "x"


@pytest.mark.parametrize(
    ("head", "body", "name"),
    [
        ("Content-Disposition: attachment; filename=a.pdf", "x", "a.pdf"),
        ("Content-Disposition: attachment; filename*0*=utf-8''inv%C3%B6; filename*1*=ice.exe", "x", "invöice.exe"),
        ("Content-Disposition: attachment; filename*=nope'%%%", "x", "nope'%%%"),
        ("Content-Disposition: attachment; filename*=klingon'x'%FF", "x", None),
        ("Content-Type: application/pdf; name==?utf-8?Q?=C3=BC.pdf?=", "x", "ü.pdf"),
        ("Content-Type: image/png", "x", ""),
    ],
)
def test_names_of_attachments(head, body, name):
    (part,) = read(head, body).parts
    assert part.attached
    assert name is None or part.name == name


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        ("Content-Type: text/plain; charset=klingon", "aü", "aü"),
        ('Content-Type: ;;;="\r\nContent-Disposition: ;;', "a", "a"),
        ("Content-Type: multipart/mixed", "--x\r\n\r\nhello", "--x\r\n\r\nhello"),
        ("Content-Transfer-Encoding: base64", "aGV*sbG8=\r\n===", "hello"),
        ("Content-Transfer-Encoding: quoted-printable", "a=ZZ=C3=BC", "a=ZZü"),
        ("Content-Transfer-Encoding: nonsense", "a", "a"),
    ],
)
def test_texts_in_broken_clothes(head, body, text):
    (part,) = read(head, body).parts
    assert part.is_text
    assert part.text() == text


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "raw_unicode_escape", "base64", "rot13", "undefined"]
)
def test_a_codec_that_is_no_charset_is_not_used(charset):
    """As punycode, this text would take hours."""
    body = "\\u0041-" + "abcdefgh" * 200_000
    (part,) = read(f"Content-Type: text/plain; charset={charset}", body).parts
    assert part.text() == body


def test_a_boundary_that_never_comes():
    (part,) = read("Content-Type: multipart/mixed; boundary=x", "--x\r\nContent-Type: text/plain\r\n\r\nhello").parts
    assert part.text() == "hello"


def test_an_attached_message_is_one_part_and_keeps_its_bytes():
    inner = "From: in@n-host.com\r\nSubject: a\r\n\r\nFrom the start of a line\r\n" + "long " * 400
    body = f"--x\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--x--\r\n"
    (part,) = read("Content-Type: multipart/mixed; boundary=x", body).parts
    assert (part.media_type, part.name, part.attached) == ("message/rfc822", "message.eml", True)
    assert part.content.replace(b"\r\n", b"\n") == inner.encode().replace(b"\r\n", b"\n")


def test_an_attached_message_in_base64_is_unwrapped():
    import base64

    body = base64.encodebytes(PLAIN).decode()
    head = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64"
    (part,) = read(head, body).parts
    assert read_message(part.content).header("subject") == "Hi"


def test_a_delivery_report_is_kept_as_a_file():
    body = "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;a\r\n\r\nAction: failed\r\n--x--"
    (part,) = read("Content-Type: multipart/report; boundary=x", body).parts
    assert part.attached
    assert b"Action: failed" in part.content


def test_too_many_parts_are_cut():
    message = read("Content-Type: multipart/mixed; boundary=x", "--x\r\n\r\nhello\r\n" * (MAX_PARTS + 10))
    assert len(message.parts) == MAX_PARTS
    assert message.cut


def test_a_message_nested_for_harm_is_refused():
    content = PLAIN.decode()
    for number in range(2000):
        content = f"Content-Type: multipart/mixed; boundary=b{number}\r\n\r\n--b{number}\r\n{content}"
    with pytest.raises(ValueError, match="nested too deeply"):
        read_message(content.encode())


@given(st.binary(max_size=300))
def test_no_bytes_make_it_stumble(content):
    for one in (
        content,
        b"From: " + content,
        b"Content-Type: " + content,
        b"Content-Disposition: attachment;" + content,
    ):
        message = read_message(one)
        assert isinstance(message.header("from"), str)
        assert all(isinstance(part.text(), str) for part in message.parts)
