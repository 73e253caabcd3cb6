"""Connections to the mail server are few and kept between letters, and none that failed is used again."""

import asyncio

import pytest

from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from notifiers.testing.smtp import SILENCE, SmtpServer
from tests.site import until


def notifier(server: SmtpServer, **changes) -> EmailNotifier:
    config = {"sender": "soc@corp.example", "encryption": "none", **changes}
    return EmailNotifier(EmailConfig(host=server.host, port=server.port, **config))


async def send(mail: EmailNotifier, count: int = 1) -> list[str]:
    """Send letters one after another; give what became of them."""
    return [(await mail.send(example_message(dedup_key=f"key:{number}"))).kind for number in range(count)]


async def left(server: SmtpServer, talk: int) -> None:
    """Wait until a client has left the server."""
    await asyncio.gather(server._talks[talk]._handler_coroutine, return_exceptions=True)


async def test_letters_that_follow_each_other_share_a_connection_and_leave_it_in_order():
    async with SmtpServer() as server:
        mail = notifier(server)
        assert await send(mail, 3) == ["ok"] * 3
        assert len(server._talks) == 1
        await mail.close()
        await left(server, 0)
        assert server._talks[0].transport is None
        await mail.close()
        assert await send(mail) == ["ok"]  # and one that was closed opens again
        await mail.close()
    assert len(server.received) == 4
    assert mail.deadline.total_seconds() > 120


async def test_many_letters_at_once_share_a_few_connections():
    async with SmtpServer() as server:
        mail = notifier(server, connections=2)
        outcomes = await asyncio.gather(*(mail.send(example_message(dedup_key=f"key:{n}")) for n in range(20)))
        await mail.close()
        assert {outcome.kind for outcome in outcomes} == {"ok"}
        assert len(server._talks) == 2
        assert len({got.letter["Message-ID"] for got in server.received}) == len(server.received) == 20


async def test_a_connection_carries_so_many_letters_and_no_more():
    async with SmtpServer() as server:
        mail = notifier(server, letters_each=2)
        assert await send(mail, 5) == ["ok"] * 5
        await mail.close()
        assert len(server._talks) == 3


async def test_a_connection_that_nobody_uses_is_closed():
    async with SmtpServer() as server:
        mail = notifier(server, idle=0.05)
        await send(mail)
        await left(server, 0)
        assert await send(mail) == ["ok"]
        assert len(server._talks) == 2
        await mail.close()


@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("code", ["451", "550"])
async def test_a_connection_on_which_something_failed_is_thrown_away(moment: str, code: str):
    async with SmtpServer() as server:
        server.once[moment] = f"{code} told to fail"
        mail = notifier(server)
        [first, second] = await send(mail, 2)
        assert (first != "ok", second) == (True, "ok")
        assert len(server._talks) == 2
        await mail.close()


async def test_a_server_that_has_hung_up_meanwhile_costs_no_letter():
    async with SmtpServer() as server:
        mail = notifier(server)
        await send(mail)
        server._talks[0].hang_up()
        await left(server, 0)
        assert await send(mail) == ["ok"]
        assert len(server._talks) == 2
        await mail.close()


@pytest.mark.parametrize("farewell", ["421 4.4.2 idle for too long", "drop", SILENCE], ids=["421", "drop", "silence"])
async def test_a_server_that_says_so_only_now_costs_no_letter_either(farewell: str):
    async with SmtpServer() as server:
        mail = notifier(server, step_timeout=0.5)
        await send(mail)
        server.once["MAIL"] = farewell
        assert await send(mail) == ["ok"]
        assert [len(server._talks), len(server.received)] == [2, 2]
        await mail.close()


async def test_a_new_connection_that_fails_so_is_not_tried_again():
    """Else a server that answers everybody with 421 would be asked without end."""
    async with SmtpServer(answers={"MAIL": "421 4.3.2 shutting down"}) as server:
        mail = notifier(server)
        assert await send(mail) == ["temporary"]
        assert len(server._talks) == 1


async def test_a_letter_that_waits_for_a_connection_waits_no_longer_than_its_deadline():
    async with SmtpServer(answers={"dot": SILENCE}) as server:
        mail = notifier(server, connections=1, step_timeout=0.2, receipt_timeout=2, deadline=2.4)
        first = asyncio.create_task(mail.send(example_message()))
        await server.wait_for_silence()
        second = await mail.send(example_message(dedup_key="key:2"))
        assert not first.done()
        assert second.kind == "temporary"
        assert "waiting for a free connection" in second.reason
        assert (await first).kind == "unknown"


async def test_a_cancelled_letter_gives_its_place_to_the_next():
    async with SmtpServer() as server:
        server.once["dot"] = SILENCE
        mail = notifier(server, connections=1)
        sending = asyncio.create_task(mail.send(example_message()))
        await server.wait_for_silence()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await send(mail) == ["ok"]
        await mail.close()


async def test_one_letter_after_the_other_takes_the_step_that_counts():
    """The others are handed over but for the dot that ends them: the server has none of them."""
    turn, waiting = asyncio.Lock(), []

    async def step() -> None:
        waiting.append(1)
        await turn.acquire()

    async with SmtpServer() as server:
        mail = notifier(server)
        await turn.acquire()
        sends = [
            asyncio.create_task(mail.send_in_step(example_message(dedup_key=f"{number}"), step))
            for number in range(mail.at_once)
        ]
        await until(lambda: asyncio.sleep(0, len(waiting) == mail.at_once), within=10, every=0.01)
        assert server.received == []
        for number in range(mail.at_once):
            turn.release()
            await server.wait_for(number + 1)
            await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
            assert len(server.received) == number + 1
        assert {(await one).kind for one in sends} == {"ok"}
        await mail.close()
