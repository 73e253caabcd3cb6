"""E-mail when the server or the line fails: each failure is judged by its code and by how far the letter had come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from notifiers.contract import Outcome
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from notifiers.testing.smtp import DROP, SILENCE, SmtpServer

SHORT = {"step_timeout": 0.2, "receipt_timeout": 0.2}


async def send(port: int, **changes) -> Outcome:
    config = {"host": "127.0.0.1", "port": port, "encryption": "none", "sender": "soc@corp.example", **changes}
    mail = EmailNotifier(EmailConfig(**config))
    try:
        return await mail.send(example_message())
    finally:
        await mail.close()


@asynccontextmanager
async def raw_server(greeting: bytes | None) -> AsyncIterator[int]:
    """A server that greets like this and then hangs up; None: that never greets."""

    talks = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        if greeting is None:
            await reader.read()
        else:
            writer.write(greeting)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*talks)


@pytest.mark.parametrize(
    ("moment", "answer", "kind", "channel_fault"),
    [
        ("MAIL", "451 4.3.0 later", "temporary", False),
        ("MAIL", "550 5.7.1 this sender is not yours", "permanent", True),
        ("RCPT", "450 4.2.1 mailbox busy", "temporary", False),
        ("RCPT", "451 4.7.1 greylisted, try again in 300 seconds", "temporary", False),
        ("RCPT", "421 4.3.2 shutting down", "temporary", False),
        ("RCPT", "550 5.1.1 no such mailbox", "permanent", False),
        ("RCPT", "599 never heard of", "permanent", False),
        ("RCPT", "354 nonsense", "temporary", False),
        ("DATA", "451 4.3.0 later", "temporary", False),
        ("DATA", "554 5.5.1 no valid recipients", "permanent", False),
        ("DATA", "250 nonsense", "temporary", False),
        ("dot", "452 4.3.1 disk full", "temporary", False),
        ("dot", "421 4.3.2 shutting down", "temporary", False),
        ("dot", "552 5.3.4 too big", "permanent", False),
        ("dot", "554 5.7.1 looks like spam", "permanent", False),
        ("dot", "354 nonsense", "unknown", False),
        ("dot", "nonsense", "unknown", False),
    ],
)
async def test_refusal_is_judged_by_its_code(moment: str, answer: str, kind: str, channel_fault: bool):
    async with SmtpServer(answers={moment: answer}) as server:
        outcome = await send(server.port)
        assert len(server.received) == (moment == "dot")
    assert (outcome.kind, outcome.channel_fault) == (kind, channel_fault)
    assert outcome.bad_address == ("5.1.1" in answer)
    assert answer in outcome.reason
    assert (outcome.provider_ref is None) == (kind != "unknown")


@pytest.mark.parametrize("failure", [DROP, SILENCE])
@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA"])
async def test_line_that_fails_before_the_letter_is_handed_over_is_harmless(moment: str, failure: str):
    async with SmtpServer(answers={moment: failure}) as server:
        outcome = await send(server.port, **SHORT)
        assert server.received == []
    assert outcome.kind == "temporary"


@pytest.mark.parametrize("failure", [DROP, SILENCE])
async def test_line_that_fails_after_the_final_dot_leaves_doubt(failure: str):
    async with SmtpServer(answers={"dot": failure}) as server:
        outcome = await send(server.port, receipt_timeout=0.2)
        assert len(server.received) == 1  # the server has it, and we cannot know
    assert outcome.kind == "unknown"
    assert "handed over" in outcome.reason


async def test_deadline_ends_a_try_whose_steps_may_take_longer():
    """The timeouts of the steps alone would allow a slow server to hold a try for ever."""
    short = {"step_timeout": 0.3, "receipt_timeout": 0.3, "deadline": 0.6}
    async with SmtpServer(answers={"RCPT": SILENCE}) as server:
        outcome = await send(server.port, **short)
    assert outcome.kind == "temporary"
    assert "not handed over within 0.3 s" in outcome.reason
    async with SmtpServer(answers={"dot": SILENCE}) as server:
        outcome = await send(server.port, **short)
    assert outcome.kind == "unknown"
    assert "the letter was handed over" in outcome.reason


@pytest.mark.parametrize(
    ("greeting", "kind", "channel_fault"),
    [
        (b"554 5.3.2 no mail service here\r\n", "permanent", True),
        (b"421 4.3.2 too busy\r\n", "temporary", False),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "temporary", False),
        (b"\x16\x03\x01\xff\xfe\r\n", "temporary", False),
        (b"220", "temporary", False),
        (b"", "temporary", False),
        (None, "temporary", False),
    ],
    ids=repr,
)
async def test_greeting_decides_whether_trying_again_helps(greeting: bytes | None, kind: str, channel_fault: bool):
    async with raw_server(greeting) as port:
        outcome = await send(port, **SHORT)
    assert (outcome.kind, outcome.channel_fault) == (kind, channel_fault)
    assert outcome.reason.startswith("connecting to the mail server")
    assert outcome.reason.isprintable()


async def test_nobody_at_the_port_is_tried_again(unused_tcp_port: int):
    outcome = await send(unused_tcp_port)
    assert outcome.kind == "temporary"
    assert str(unused_tcp_port) in outcome.reason


async def test_tls_with_a_server_that_speaks_in_clear_is_an_outcome():
    async with SmtpServer() as server:
        outcome = await send(server.port, **SHORT, encryption="implicit")
    assert outcome.kind == "temporary"


async def test_hostile_words_of_a_server_become_one_clean_line():
    async with SmtpServer(answers={"RCPT": "550 5.1.1 \x1b[31mno\x07 " + "x" * 400}) as server:
        outcome = await send(server.port)
    assert outcome.reason.isprintable()
    assert len(outcome.reason) < 260


async def test_letter_is_delivered_even_when_the_goodbye_fails(monkeypatch: pytest.MonkeyPatch):
    async with SmtpServer() as server:

        async def cut(talk, arg) -> None:
            talk.hang_up()

        monkeypatch.setattr("aiosmtpd.smtp.SMTP.smtp_QUIT", cut)
        outcome = await send(server.port)
        assert len(server.received) == 1
    assert outcome.kind == "ok"


async def test_cancelled_send_leaves_no_connection_behind():
    async with SmtpServer(answers={"RCPT": SILENCE}) as server:
        sending = asyncio.create_task(send(server.port))
        await server.wait_for_silence()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        [talk] = server._talks
        await asyncio.gather(talk._handler_coroutine, return_exceptions=True)
        assert talk.transport is None
