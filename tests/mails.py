"""Mails that come back, as mail programs and servers write them; each with what it is to be read as.

`{to}` is the address that the mail goes to, `{sender}` who says that it is from them, `{ours}` the Message-ID that it
answers. All were made up for these tests, after what the programs send.
"""

from __future__ import annotations

import base64
import quopri
from dataclasses import dataclass, field

_HEAD = """\
Return-Path: <{sender}>
Received: from mx.corp.example (mx.corp.example [192.0.2.10]) by mail.corp.example; Mon, 2 Mar 2026 10:05:01 +0100
From: {name} <{sender}>
To: Casewright <{to}>
Subject: Re: [CASE-1] For you: Report it
Date: Mon, 2 Mar 2026 10:05:00 +0100
Message-ID: <{id}>
In-Reply-To: {ours}
References: <case-1@corp.example> {ours}
MIME-Version: 1.0
"""
_QUOTED = """\
> Ada, a task waits for you.
>
> Task:  Report it
> Read what to do and decide it here:
> https://soar.example.org/a/approve
"""


@dataclass(frozen=True)
class Made:
    """One mail of the corpus.

    Attributes:
        raw: As it comes, with the places that `mail` fills.
        kind: What it says.
        text: What its writer wrote; the note begins with it.
        automatic: Why nobody wrote it.
        more: Whether it says more than its first line.
    """

    raw: str = field(repr=False)
    kind: str = "other"
    text: str = ""
    automatic: str | None = None
    more: bool | None = None


def mail(
    name: str, to: str = "soc@corp.example", sender: str = "ada@example.org", ours: str = "<none@x>", number: int = 1
) -> bytes:
    """Return a mail of the corpus; another number makes another mail of the same kind."""
    filled = CORPUS[name].raw
    places = {
        "to": to,
        "sender": sender,
        "ours": ours,
        "name": "Ada",
        "id": f"{name.replace(' ', '-')}.{number}@a.test",
    }
    for place, value in places.items():
        filled = filled.replace(f"{{{place}}}", value)
    return filled.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def plain(body: str, *headers: str, content_type: str = "text/plain; charset=utf-8") -> str:
    """Return a mail of one part."""
    more = "".join(f"{one}\n" for one in headers)
    return f"{_HEAD}{more}Content-Type: {content_type}\nContent-Transfer-Encoding: 8bit\n\n{body}"


def parts(*some: str, kind: str = "alternative", headers: str = "") -> str:
    """Return a mail of several parts, each with its own headers."""
    inner = "".join(f"--=_b\n{one}\n" for one in some)
    return f'{_HEAD}{headers}Content-Type: multipart/{kind}; boundary="=_b"\n\n{inner}--=_b--\n'


def _html(body: str) -> str:
    return plain(f"<html><body>{body}</body></html>", content_type="text/html; charset=utf-8")


def _dsn(action: str, status: str, whom: str = "{sender}") -> str:
    about = (
        f"Reporting-MTA: dns; mx.corp.example\n\nFinal-Recipient: rfc822; {whom}\nAction: {action}\nStatus: {status}\n"
    )
    return (
        "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.corp.example>\nTo: {to}\n"
        "Subject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMessage-ID: <{id}>\n"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n boundary="=_d"\n\n'
        "--=_d\nContent-Type: text/plain\n\nI could not deliver it.\n"
        f"--=_d\nContent-Type: message/delivery-status\n\n{about}Diagnostic-Code: smtp; 550 {status} no\n\n"
        "--=_d\nContent-Type: text/rfc822-headers\n\nMessage-ID: {ours}\n\n--=_d--\n"
    )


_GMAIL_HTML = (
    'Content-Type: text/html; charset="UTF-8"\n\n<div dir="ltr">Ack, looking now</div><br>'
    '<div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, Casewright wrote:<br></div>'
    '<blockquote class="gmail_quote">a task waits</blockquote></div>'
)
_OUTLOOK_QUOTE = """\
________________________________
From: Casewright <soc@corp.example>
Sent: Monday, March 2, 2026 10:00 AM
To: Ada <ada@example.org>
Subject: [CASE-1] For you: Report it

Ada, a task waits for you. Approve it.
"""
_LATIN = quopri.encodestring("Übernehme ich, Grüße".encode("latin-1")).decode()

CORPUS: dict[str, Made] = {
    "gmail": Made(
        parts(
            'Content-Type: text/plain; charset="UTF-8"\n\nAck, looking now\n\nOn Mon, Mar 2, 2026 at 10:00 Casewright'
            " <\nsoc+rabcdefghijklmnopqrstuvwxyz@corp.example> wrote:\n\n" + _QUOTED,
            _GMAIL_HTML,
        ),
        "acknowledge",
        "Ack, looking now",
        more=False,
    ),
    "gmail html only": Made(_html(_GMAIL_HTML.partition("\n\n")[2]), "acknowledge", "Ack, looking now", more=False),
    "outlook": Made(plain(f"OK\n\nKind regards\nAda\n\n{_OUTLOOK_QUOTE}"), "acknowledge", "OK", more=False),
    "outlook html only": Made(
        _html(
            "<div class='elementToProof'>On it &amp; will report</div><div id='appendonsend'></div><hr>"
            "<div id='divRplyFwdMsg'><b>From:</b> Casewright</div><div>approve</div>"
        ),
        "acknowledge",
        "On it & will report",
        more=False,
    ),
    "apple": Made(
        plain(
            "I'll take it.\n\nSent from my iPhone\n\n"
            f"> On 2 Mar 2026, at 10:00, Casewright <soc@corp.example> wrote:\n> \n{_QUOTED}"
        ),
        "acknowledge",
        "I'll take it.",
        more=False,
    ),
    "german": Made(
        plain(f"Übernehme ich.\n\nAm 02.03.26 um 10:00 schrieb Casewright:\n{_QUOTED}"),
        "acknowledge",
        "Übernehme ich.",
        more=False,
    ),
    "german outlook": Made(
        plain(
            "Bin dran, melde mich.\n\nMit freundlichen Grüßen\nAda\n\nVon: Casewright <soc@corp.example>\n"
            "Gesendet: Montag, 2. März 2026 10:00\nAn: Ada\nBetreff: [CASE-1]\n\nText\n"
        ),
        "acknowledge",
        "Bin dran, melde mich.",
        more=False,
    ),
    "german latin-1": Made(
        f"{_HEAD}Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n{_LATIN}",
        "acknowledge",
        "Übernehme ich, Grüße",
        more=False,
    ),
    "french": Made(
        plain(f"Je m'en occupe\n\nLe lun. 2 mars 2026 à 10:00, Casewright <soc@corp.example> a écrit :\n\n{_QUOTED}"),
        "acknowledge",
        "Je m'en occupe",
        more=False,
    ),
    "bottom posted": Made(
        plain(f"On 02/03/2026 10:00, Casewright wrote:\n{_QUOTED}\nack\n\nbut see the attached log\n"),
        "acknowledge",
        "ack",
        more=True,
    ),
    "between the lines": Made(
        plain("> Task:  Report it\nby whom?\n> decide it\nlater\n"), "comment", "by whom?\nlater"
    ),
    "with signature": Made(
        plain("Okay\n-- \nAda Lovelace\nCorp, approve everything GmbH\n"), "acknowledge", "Okay", more=False
    ),
    "says more": Made(plain("ACK\n\nThe host is off the network:\n- srv1\n- srv2\n"), "acknowledge", "ACK", more=True),
    "taken back": Made(plain("OK, but I cannot do it today\n"), "comment", "OK, but I cannot do it today"),
    "asks": Made(plain("ok, who takes it?\n"), "comment", "ok, who takes it?"),
    "comment": Made(plain("The sender is <b>known</b>.\n"), "comment", "The sender is <b>known</b>."),
    "approve": Made(plain(f"Approve\n\n{_OUTLOOK_QUOTE}"), "decide", "Approve"),
    "german approval": Made(plain("Ich genehmige das.\n"), "decide", "Ich genehmige das."),
    "ok approved": Made(plain("OK approved\n"), "comment", "OK approved"),
    "reject": Made(plain("rejected.\n"), "decide", "rejected."),
    "stop": Made(plain("STOP\n"), "comment", "STOP"),
    "with attachments": Made(
        parts(
            "Content-Type: text/plain\n\nSee the log.\n",
            'Content-Type: application/zip; name="log.zip"\nContent-Disposition: attachment; filename="log.zip"\n'
            "Content-Transfer-Encoding: base64\n\n" + base64.b64encode(b"PK\x03\x04 log").decode(),
            kind="mixed",
        ),
        "comment",
        "See the log.",
    ),
    "out of office": Made(
        plain("I am away until Monday.\n", "Auto-Submitted: auto-replied"), automatic="auto_submitted"
    ),
    "exchange away": Made(
        plain("Ich bin nicht da.\n", "Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: All"),
        automatic="auto_submitted",
    ),
    "older away notice": Made(plain("Away.\n", "Precedence: bulk", "X-Autoreply: yes"), automatic="auto_submitted"),
    "bulk": Made(plain("News.\n", "Precedence: Bulk"), automatic="bulk"),
    "list mail": Made(plain("ack\n", "List-Id: <soc.lists.example>", "Precedence: list"), automatic="list"),
    "our own letter": Made(
        plain("ack\n").replace("<{id}>", "<case-1.0123456789abcdef0123456789abcdef@corp.example>"), automatic="own"
    ),
    "from our mailbox": Made(plain("ack\n").replace("{sender}", "soc+x@corp.example"), automatic="own"),
    "empty sender": Made(plain("ack\n").replace("Return-Path: <{sender}>", "Return-Path: <>"), automatic="bounce"),
    "bounce": Made(_dsn("failed", "5.1.1"), automatic="auto_submitted"),
    "bounce of another": Made(_dsn("failed", "5.1.1", "old@example.org"), automatic="auto_submitted"),
    "mailbox full": Made(_dsn("failed", "5.2.2"), automatic="auto_submitted"),
    "delayed": Made(_dsn("delayed", "4.4.1"), automatic="auto_submitted"),
    "delivered": Made(_dsn("delivered", "2.0.0"), automatic="auto_submitted"),
    "no report in the report": Made(
        parts("Content-Type: text/plain\n\nno\n", kind="report", headers="Auto-Submitted: auto-replied\n"),
        automatic="auto_submitted",
    ),
    # hostile
    "empty": Made(plain("")),
    "quotes only": Made(plain(_QUOTED)),
    "no parts": Made(f"{_HEAD}Content-Type: multipart/mixed; boundary=nowhere\n\nack\n", "acknowledge", "ack"),
    "unknown charset": Made(plain("ack\n", content_type="text/plain; charset=klingon-8"), "acknowledge", "ack"),
    "punycode charset": Made(plain("ack\n", content_type="text/plain; charset=punycode"), "acknowledge", "ack"),
    "bytes that are no text": Made(plain("ack \udcff\udcfe\x00\x1b[31m\n"), "acknowledge", "ack"),
    "two senders": Made(
        plain("ack\n").replace("From: {name} <{sender}>", "From: {sender}, eve@evil.example"), "acknowledge", "ack"
    ),
    "two from": Made(plain("ack\n", "From: eve@evil.example"), "acknowledge", "ack"),
    "name that looks like an address": Made(
        plain("ack\n").replace("{name} <{sender}>", '"{sender}" <eve@evil.example>'), "acknowledge", "ack"
    ),
    "script": Made(_html("<script>ack()</script><style>ack</style><p>hello</p>"), "comment", "hello"),
    "html that never ends": Made(_html("<blockquote><div>" * 200 + "ack"), "other"),
    "control characters": Made(plain("ack\u202e\u2066 moc.live\n"), "acknowledge", "ack"),
    "long line": Made(plain("x" * 100_000), "comment", "x" * 100),
}
