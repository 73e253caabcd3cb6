import base64
from email.message import EmailMessage
from hashlib import sha256

import pytest

from flows.actions.contract import ActionFailed, Result
from flows.actions.email import parse
from flows.actions.testing import MemoryContext, call

PHISH = b"""\
Return-Path: <bounce@mailer.example.net>
Received: from out.example.net ([198.51.100.23]) by mx.example.org for <ann@example.org>; Mon, 5 Jan 2026 10:00:00 +0000
Authentication-Results: mx.example.org; spf=fail smtp.mailfrom=example.net; dkim=none; dmarc=fail header.from=paypal.com
Authentication-Results: forged.example; spf=pass; dkim=pass; dmarc=pass
From: =?utf-8?q?Service=2C_PayPal?= <Service@PayPal.com>
Reply-To: "Desk" <desk@example.net>
To: Ann <ann@example.org>, bob@example.org
Subject: =?utf-8?b?UmVjaG51bmcgZsOkbGxpZw==?=
Date: Mon, 5 Jan 2026 11:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<a href="https://login.example.net/?a=1&amp;b=2">here</a> or <a href="https://login.example.net/?a=1&amp;b=2">here</a>
<img src="https://img.example.net/x.png">
--b
Content-Type: application/pdf; name="invoice.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="=?utf-8?q?rechnung_m=C3=A4rz=2Epdf?="

JVBERi0xLjQK
--b--
"""


async def parsed(content: bytes, name: str = "mail.eml") -> Result:
    context = MemoryContext()
    mail = context.attach(name, content)
    return await call(parse, context, evidence=mail.id)


async def test_who_sent_what_to_whom() -> None:
    fields = dict((await parsed(PHISH)).fields)
    results = fields.pop("authentication_results")
    assert fields == {
        "subject": "Rechnung fällig",
        "sender": "service@paypal.com",
        "sender_name": "Service, PayPal",
        "sender_domain": "paypal.com",
        "reply_to": "desk@example.net",
        "return_path": "bounce@mailer.example.net",
        "to": ["ann@example.org", "bob@example.org"],
        "cc": [],
        "date": "2026-01-05T10:00:00+00:00",
        "message_id": "",
        "attachments": ["rechnung märz.pdf"],
        "messages": 0,
        "urls": 2,
        "spf": "fail",
        "dkim": "none",
        "dmarc": "fail",
    }
    assert [one.partition(";")[0] for one in results] == ["mx.example.org", "forged.example"]


async def test_attachments_become_evidence_and_their_hashes_observables() -> None:
    result = await parsed(PHISH)
    (file,) = result.evidence
    assert (file.name, file.content, file.media_type) == ("rechnung märz.pdf", b"%PDF-1.4\n", "application/pdf")
    assert ("sha256", sha256(b"%PDF-1.4\n").hexdigest()) in result.observables


async def test_who_wrote_is_an_observable_who_received_is_not() -> None:
    observables = (await parsed(PHISH)).observables
    assert {("email", "desk@example.net"), ("domain", "mailer.example.net"), ("domain", "paypal.com")} <= set(
        observables
    )
    assert not [value for _, value in observables if value.endswith("example.org")]


def forwarded() -> bytes:
    inner = EmailMessage()
    inner["From"], inner["Date"], inner["Subject"] = "x@example.net", "Mon, 5 Jan 2026 11:00:00 +0100", "Pay now"
    inner.set_content("From here on: http://pay.example.net/\n")
    inner.add_attachment(b"MZ\x90", maintype="application", subtype="octet-stream", filename="..\\..\\run.exe")
    outer = EmailMessage()
    outer["From"], outer["Date"], outer["Subject"] = "ann@example.org", "Mon, 5 Jan 2026 12:00:00 +0100", "FW: Pay now"
    outer.set_content("Is this real?")
    outer.add_attachment(inner)
    return outer.as_bytes()


async def test_a_message_inside_is_a_file_that_can_be_read_in_turn() -> None:
    result = await parsed(forwarded())
    (file,) = result.evidence
    assert (file.media_type, result.fields["sender"], result.fields["messages"]) == (
        "message/rfc822",
        "ann@example.org",
        1,
    )
    again = await parsed(file.content)  # type: ignore[arg-type]
    assert (again.fields["sender"], again.fields["attachments"]) == ("x@example.net", ["run.exe"])
    assert ("url", "http://pay.example.net/") in again.observables


async def test_a_reported_message_is_read_instead_of_the_report() -> None:
    context = MemoryContext()
    mail = context.attach("report.eml", forwarded())
    result = await call(parse, context, evidence=mail.id, reported=True)
    assert (result.fields["sender"], [one.name for one in result.evidence]) == ("x@example.net", ["run.exe"])


async def test_messages_within_messages_do_not_multiply() -> None:
    content = b"From: a@example.net\nDate: x\nSubject: innermost\n\nhello\n"
    for depth in range(20):
        head = f"From: a@example.net\nDate: x\nSubject: {depth}\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"
        content = head.encode() + content
    result = await parsed(content)
    assert len(result.evidence) == 1
    assert len(result.evidence[0].content) < len(content)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "field", "wanted"),
    [
        (b"Subject: =?utf-8?b?broken", "subject", "=?utf-8?b?broken"),
        (b"Subject: =?utf-8?b?QUJ?=", "subject", "AB"),
        (b"Subject: =?no-such-charset?q?caf=C3=A9?=", "subject", "café"),
        (b"Subject: caf\xc3\xa9", "subject", "café"),
        (b"Subject: caf\xe9", "subject", "café"),
        (b"Subject: one\n two\n\tthree", "subject", "one two three"),
        (b"Subject: \xe2\x80\xaefdp.exe\x1b[2J", "subject", "fdp.exe[2J"),
        (b"Subject:", "subject", ""),
        (b"Date: the day before yesterday", "date", ""),
        (b"Date: Mon, 99 Jan 2026 11:00:00 +0100", "date", ""),
        (b"Date: Mon, 5 Jan 2026 11:00:00 -0000", "date", "2026-01-05T11:00:00+00:00"),
        (b"Reply-To: undisclosed-recipients:;", "reply_to", ""),
        (b"Return-Path: <>", "return_path", ""),
        (b'Reply-To: "ceo@example.org" <thief@example.net>', "reply_to", "thief@example.net"),
        (b"Reply-To: =?utf-8?q?a=40example=2Eorg=2C?= <thief@example.net>", "reply_to", "thief@example.net"),
    ],
)
async def test_a_broken_header_is_read_as_far_as_it_goes(header: bytes, field: str, wanted: str) -> None:
    result = await parsed(header + b"\nX-A: b\nReceived: x\nMIME-Version: 1.0\nFrom: a@example.net\n\nhello\n")
    assert result.fields[field] == wanted


@pytest.mark.parametrize(
    ("header", "body", "wanted"),
    [
        (b"Content-Type: text/plain; charset=no-such", b"http://a.example.net/x", 1),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: base64", base64.b64encode(b"http://a.example.net/"), 1),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: base64", b"!!!not base64!!!", 0),
        (b"Content-Type: text/plain; charset=utf-16", "http://a.example.net/".encode("utf-16"), 1),
        (b"Content-Type: multipart/mixed", b"no boundary http://a.example.net/", 1),
        (b"Content-Type: multipart/mixed; boundary=b", b"--b\nContent-Type: text/plain\n\nhttp://a.example.net/", 1),
        (b"Content-Type: nonsense", b"http://a.example.net/", 1),
    ],
)
async def test_a_broken_body_is_read_as_far_as_it_goes(header: bytes, body: bytes, wanted: int) -> None:
    result = await parsed(b"From: a@example.net\nDate: x\n" + header + b"\n\n" + body)
    assert result.fields["urls"] == wanted


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"From ann Mon Jan  5 10:00:00 2026\n", b"\r\n\r\n"])
async def test_what_stands_before_the_headers_does_not_matter(before: bytes) -> None:
    assert (await parsed(before + PHISH)).fields["sender_domain"] == "paypal.com"


@pytest.mark.parametrize(
    ("content", "reason", "step"),
    [
        (b'{"rule": {"level": 5}}', "is JSON, not an e-mail message", ".eml"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "Outlook's own format", "save it as .eml"),
        (b"Dear all,\nplease find attached.\n", "not an e-mail message", "attach the original message as a file"),
        (b"", "not an e-mail message", "attach the original message as a file"),
        (
            b"\n".join(b"From: a\nDate: b\nContent-Type: message/rfc822\n" for _ in range(5000)),
            "nested too deeply",
            "attach the original message as a file",
        ),
    ],
    ids=["json", "outlook", "prose", "empty", "deep"],
)
async def test_what_is_no_message_is_refused_with_what_to_do(content: bytes, reason: str, step: str) -> None:
    with pytest.raises(ActionFailed, match=reason) as refused:
        await parsed(content)
    assert step in refused.value.next_step


async def test_of_more_files_than_anybody_sends_the_first_are_kept_and_a_note_says_so() -> None:
    many = b"--b\nContent-Type: image/png\n\nx\n" * 1500
    head = b"From: a@example.net\nDate: x\nContent-Type: multipart/mixed; boundary=b\n\n"
    result = await parsed(head + many + b"--b--\n")
    assert len(result.evidence) == 100
    assert "more than 100 attachments" in result.notes[0]


async def test_an_attachment_without_a_usable_name_gets_one() -> None:
    head = b"From: a@example.net\nDate: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    parts = [b"--b\nContent-Type: image/png\n\nx\n", b'--b\nContent-Type: text/plain; name="../.."\n\ny\n']
    result = await parsed(head + b"".join(parts) + b"--b--\n")
    assert result.fields["attachments"] == ["unnamed", "unnamed"]
