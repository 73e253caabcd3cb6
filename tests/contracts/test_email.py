"""E-mail as it arrives at a real SMTP server on loopback."""

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from notifiers.testing.smtp import Received, SmtpServer

AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "List-Id",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
}


def notifier(server: SmtpServer, **changes) -> EmailNotifier:
    config = {"sender": "soc@corp.example", "encryption": "none", **changes}
    return EmailNotifier(EmailConfig(host=server.host, port=server.port, **config), clock=lambda: AT)


async def received(**changes) -> Received:
    """Send one message and give the one letter that arrived."""
    async with SmtpServer() as server:
        outcome = await notifier(server).send(example_message(**changes))
        assert outcome.kind == "ok", outcome
        [letter] = server.received
        return letter


def body(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return part.get_content().replace("\r\n", "\n")


async def test_letter_arrives_and_the_outcome_names_it():
    async with SmtpServer() as server:
        outcome = await notifier(server).send(example_message())
        [got] = server.received
    assert got.sender == "soc@corp.example"
    assert got.recipients == ("ana@corp.example",)
    assert got.client == "corp.example"  # not the name of the machine
    assert outcome.kind == "ok"
    assert outcome.provider_ref == got.letter["Message-ID"]
    assert outcome.reason == "250 2.0.0 ok: queued as 1"
    assert body(got.letter, "plain") == "Ana, a task waits for you.\n"
    assert body(got.letter, "html") == "<p>Ana, a task waits for you.</p>\n"


async def test_headers_make_a_thread_and_keep_machines_from_answering():
    letter = (await received()).letter
    assert set(letter.keys()) == HEADERS
    assert letter["From"] == "Casewright <soc@corp.example>"
    assert letter["To"] == "Ana Example <ana@corp.example>"
    assert letter["Subject"] == "[CASE-42] For you: Block the sender"
    assert letter["Date"].datetime == AT
    assert letter["In-Reply-To"] == letter["References"] == "<case-42@corp.example>"
    assert letter["List-Id"] == "CASE-42 <case-42.corp.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["X-Auto-Response-Suppress"] == "All"


async def test_message_id_is_the_same_on_every_try_and_differs_between_promises():
    async with SmtpServer() as server:
        mail = notifier(server)
        for key in ("a:b", "a:b", "a.b"):
            await mail.send(example_message(dedup_key=key))
    first, again, other = (got.letter["Message-ID"] for got in server.received)
    assert first == again != other
    assert first.startswith("<case-42.")
    assert first.endswith("@corp.example>")


async def test_long_domain_leaves_message_ids_readable():
    """Python has folded long IDs into encoded words, which breaks threads."""
    domain = "casework.security-operations.a-rather-long-company-name.example"
    async with SmtpServer() as server:
        outcome = await notifier(server, message_domain=domain).send(example_message())
        [got] = server.received
    head = got.content.partition(b"\r\n\r\n")[0].decode("ascii")
    assert outcome.provider_ref is not None
    assert outcome.provider_ref in head
    assert f"<case-42@{domain}>" in head
    assert "=?" not in head


async def test_text_alone_is_sent_as_text():
    letter = (await received(html=None)).letter
    assert letter.get_content_type() == "text/plain"


async def test_every_script_arrives_over_a_7_bit_line():
    got = await received(name="Ünal 日本", subject="[CASE-42] Für 日本 😀", text="häl\n日本 😀\n", html="<p>ü</p>")
    assert got.content.isascii()
    assert got.letter["To"].addresses[0].display_name == "Ünal 日本"
    assert got.letter["Subject"] == "[CASE-42] Für 日本 😀"
    assert body(got.letter, "plain") == "häl\n日本 😀\n"


async def test_recipient_domain_travels_in_its_ascii_form():
    assert (await received(email="ana@bücher.example")).recipients == ("ana@xn--bcher-kva.example",)


@pytest.mark.parametrize("address", ["ana@corp.local", "root@localhost", "ana@mail.test"])
async def test_addresses_of_the_inside_are_reached(address: str):
    assert (await received(email=address)).recipients == (address,)


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        (".\n..\n.x\n", ".\n..\n.x\n"),
        ("one\rtwo\r\nthree\n", "one\ntwo\nthree\n"),
        ("x\r\n.\r\nMAIL FROM:<evil@x.example>\r\n", "x\n.\nMAIL FROM:<evil@x.example>\n"),
        ("x\n.\rQUIT\r\n", "x\n.\nQUIT\n"),
        ("nul\0 bell\a esc\x1b[31m\n", "nul bell esc[31m\n"),
        ("x" * 3000 + "\n", "x" * 3000 + "\n"),
        ("lone \ud800 surrogate\n", "lone ? surrogate\n"),
        ("", "\n"),
    ],
    ids=[
        "dots",
        "carriage returns",
        "smuggling",
        "smuggling by lone CR",
        "controls",
        "long line",
        "surrogate",
        "empty",
    ],
)
async def test_body_arrives_as_one_clean_letter(text: str, arrives: str):
    got = await received(text=text, html=None)
    assert body(got.letter, "plain") == arrives
    assert got.content.count(b"\r") == got.content.count(b"\n") == got.content.count(b"\r\n")


HOSTILE = [
    "x\r\nBcc: evil@x.example",
    "x\nBcc: evil@x.example",
    "x\rBcc: evil@x.example",
    "x\r\n\r\n<p>new body</p>",
    "x\u2028Bcc: evil@x.example",
    "x\u0085Bcc: evil@x.example",
    "x\vBcc: evil@x.example",
    "x\0Bcc: evil@x.example",
    "x\x1b]0;title\a",
    "lone \ud800 surrogate",
    "=?utf-8?q?x=0D=0ABcc:_evil@x.example?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQHguZXhhbXBsZQ==?=",
    "==??utf-8?q?x=0D=0ABcc:_evil@x.example?=",
    "=\r\n?utf-8?q?x=0D=0ABcc:_evil@x.example?=",
    "=\0?utf-8?q?x=0D=0ABcc:_evil@x.example?=",
    'x" <evil@x.example>, "y',
    "a\u202egpj.exe",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
@pytest.mark.parametrize("where", ["name", "subject"])
async def test_nothing_from_elsewhere_makes_a_header_or_a_recipient(where: str, hostile: str):
    got = await received(**{where: hostile})
    head, _, rest = got.content.partition(b"\r\n\r\n")
    assert set(got.letter.keys()) == HEADERS
    assert got.recipients == ("ana@corp.example",)
    assert [address.addr_spec for address in got.letter["To"].addresses] == ["ana@corp.example"]
    assert head.isascii()
    assert all(mark >= 32 or mark in b"\r\n\t" for mark in head)
    assert b"new body" not in rest


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test>\r\nRCPT TO:<evil@x.example",
        "a@b.test\nRCPT TO:<evil@x.example>",
        "a@b.test\r\nDATA",
        "a@b.test evil@x.example",
        "a@b.test,evil@x.example",
        "<a@b.test>",
        "Ana <a@b.test>",
        '"a b"@b.test',
        "a@[127.0.0.1]",
        "a@b.test\0",
        "ü@b.test",
        "a\u2028b@b.test",
        "no-at-sign",
        "a@",
        "@b.test",
        "",
        None,
    ],
    ids=repr,
)
async def test_an_address_that_makes_no_sense_reaches_no_server(address: str | None):
    async with SmtpServer() as server:
        outcome = await notifier(server).send(example_message(email=address))
        assert not server._talks
    assert outcome.kind == "permanent"
    assert not outcome.channel_fault
    assert outcome.reason.isprintable()


async def test_answers_and_bounces_go_where_the_message_says():
    got = await received(reply_to="reply+abc.def@corp.example", bounce_to="bounces+17@mail.corp.example")
    assert got.letter["Reply-To"] == "reply+abc.def@corp.example"
    assert got.sender == "bounces+17@mail.corp.example"
    assert got.letter["From"] == "Casewright <soc@corp.example>"


@pytest.mark.parametrize("field", ["reply_to", "bounce_to"])
@pytest.mark.parametrize("hostile", ["x@y.example\r\nBcc: evil@x.example", "nobody", "a@b.example>\r\nDATA"])
async def test_a_mailbox_of_ours_that_is_none_is_for_an_administrator(field: str, hostile: str):
    async with SmtpServer() as server:
        outcome = await notifier(server).send(example_message(**{field: hostile}))
        assert not server._talks
    assert (outcome.kind, outcome.channel_fault, outcome.bad_address) == ("permanent", True, False)


@pytest.mark.parametrize(("email", "bad"), [("no-at-sign", True), (None, False)])
async def test_a_wrong_address_is_told_from_a_missing_one(email: str | None, bad: bool):
    async with SmtpServer() as server:
        assert (await notifier(server).send(example_message(email=email))).bad_address == bad
