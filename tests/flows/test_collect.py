"""Mails that come back to a real IMAP server, and to a folder: each is taken once, whoever is killed or away."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from case_store import cases, find, migrate, people, tasks
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.models import AuditEvent, Evidence, Note, Reply, ReplyMailbox
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.clock import now
from flows.relay import collect, post
from flows.relay.channels import channels
from flows.relay.collect import Collector
from flows.replies.mailbox import Item, MailboxDown, RepliesRefused
from flows.replies.set_up import addresses_of, mailbox_of
from flows.resources import Resources
from notifiers.testing.smtp import SmtpServer
from sop.library import Library, directories
from tests.conftest import missing
from tests.dovecot import HOW_TO_GET_IT, PASSWORD, USER, Dovecot, DovecotMissing, own_dovecot
from tests.mails import mail
from tests.site import ACTIONS, PEOPLE, SOPS, until

BY = Actor.system("test")


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    """A mail server of this test's own."""
    try:
        with own_dovecot() as server:
            yield server
    except DovecotMissing as error:
        missing(str(error), HOW_TO_GET_IT)


@dataclass
class Office:
    """An installation whose letters go out, and whose mailbox is read."""

    own: Resources
    smtp: SmtpServer
    reply_to: str = ""
    bounce_to: str = ""
    collectors: list[Collector] = field(default_factory=list)

    async def collector(self, settings: Settings | None = None) -> Collector:
        """A relay's part that reads the mailbox."""
        mailbox = mailbox_of(settings or self.own.settings)
        assert mailbox is not None
        self.collectors.append(Collector(self.own, mailbox, addresses_of(self.own.settings)))
        return self.collectors[-1]

    async def ask(self) -> None:
        """Have a task wait for ben, who gets a letter."""
        library = Library.load(directories([SOPS]), (ACTIONS,))
        async with self.own.store.transaction() as tx:
            await people.import_(tx, people.parse_csv(PEOPLE), set(library.roles), by=BY, at=now())
            case = await cases.open_case(tx, library.sops["short"], "A case", by=BY, at=now())
            await tasks.ask(tx, await find.task_of(tx, case, "tell"), parameters=None, due_at=None, by=BY, at=now())
        notifiers = channels(self.own.settings)
        assert await post.send_due(self.own, notifiers) == 1
        for notifier in notifiers.values():
            await notifier.close()
        await self.smtp.wait_for(1)
        letter = self.smtp.received[-1]
        self.reply_to, self.bounce_to = letter.letter["Reply-To"].addresses[0].addr_spec, letter.sender
        assert "Answer this mail with ACK" in letter.letter.get_body(("plain",)).get_content()

    def reply(self, name: str = "gmail", number: int = 1) -> bytes:
        """What ben answers."""
        to = self.bounce_to if name == "bounce" else self.reply_to
        return mail(name, to=to, sender="ben@example.com", number=number)

    async def outcomes(self) -> list[str]:
        async with self.own.store.reading() as tx:
            return list(await tx.session.scalars(select(Reply.outcome).order_by(Reply.at)))

    async def count(self, kind: type) -> int:
        async with self.own.store.reading() as tx:
            return len((await tx.session.scalars(select(kind))).all())

    async def types(self) -> list[str]:
        async with self.own.store.reading() as tx:
            return list(await tx.session.scalars(select(AuditEvent.type).order_by(AuditEvent.id)))

    async def place(self) -> ReplyMailbox:
        async with self.own.store.reading() as tx:
            return (await tx.session.scalars(select(ReplyMailbox))).one()


async def office(home: Path, **more: object) -> AsyncIterator[Office]:
    async with SmtpServer() as smtp:
        mail_out = {"smtp_host": smtp.host, "smtp_port": smtp.port, "smtp_security": "none"}
        settings = Settings(home=home, smtp_from="SOC <soc@example.org>", **mail_out, **more)  # type: ignore[arg-type]
        await migrate.upgrade(settings.database_url)
        store = await CaseStore.open(settings)
        made = Office(Resources(settings, store, Blobs(settings.blobs), {}), smtp)
        yield made
        for collector in made.collectors:
            await collector.mailbox.close()
        await store.close()


def imap(dovecot: Dovecot, **more: object) -> dict[str, object]:
    return {
        "imap_host": dovecot.host,
        "imap_port": dovecot.port,
        "imap_user": USER,
        "imap_password": SecretStr(PASSWORD),
        "imap_ca_file": dovecot.ca_file,
        **more,
    }


@pytest.fixture
async def at_imap(tmp_path: Path, dovecot: Dovecot) -> AsyncIterator[Office]:
    async for made in office(tmp_path, **imap(dovecot)):
        yield made


@pytest.fixture
async def at_spool(tmp_path: Path) -> AsyncIterator[Office]:
    (tmp_path / "spool").mkdir()
    async for made in office(tmp_path, reply_spool=tmp_path / "spool"):
        yield made


def put(folder: Path, name: str, content: bytes) -> None:
    """Put a mail into a folder as one should: whole."""
    (folder / "part").write_bytes(content)
    (folder / "part").rename(folder / name)


@pytest.fixture
def at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of these tests is still being written."""
    monkeypatch.setattr("flows.replies.spool._QUIET_SECONDS", 0.0)


class TestImap:
    async def test_an_answer_comes_back_by_the_address_in_our_letter(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.reply())
        collector = await at_imap.collector()
        assert await collector.step() == 1
        assert await collector.step() == 0
        assert await at_imap.outcomes() == ["acknowledged"]
        assert any("\\Seen" in flags for flags in dovecot.flags())
        assert "task.acknowledged" in await at_imap.types()
        assert await at_imap.count(Evidence) == 1

    async def test_whoever_answered_hears_of_it_in_the_same_thread(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.reply("approve"))
        await (await at_imap.collector()).step()
        notifiers = channels(at_imap.own.settings)
        assert await post.send_due(at_imap.own, notifiers) == 1
        for notifier in notifiers.values():
            await notifier.close()
        await at_imap.smtp.wait_for(2)
        first, answer = (one.letter for one in at_imap.smtp.received)
        assert answer["To"].addresses[0].addr_spec == "ben@example.com"
        assert answer["References"] == first["References"]
        assert answer["Auto-Submitted"] == "auto-generated"
        said = answer.get_body(("plain",)).get_content()
        assert "no answer by mail approves" in said
        assert at_imap.own.settings.prefect_ui_url in said

    async def test_a_bounce_of_our_letter_finds_it(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.reply("bounce"))
        await (await at_imap.collector()).step()
        assert await at_imap.outcomes() == ["receipt"]
        assert {"notification.failed", "person.address_bad"} <= set(await at_imap.types())

    async def test_our_own_letter_in_the_mailbox_is_passed_over(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.smtp.received[0].letter.as_bytes())
        await (await at_imap.collector()).step()
        assert await at_imap.outcomes() == ["ignored"]

    async def test_what_people_have_read_elsewhere_is_taken_all_the_same(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        collector = await at_imap.collector()
        assert await collector.step() == 0
        dovecot.deliver(at_imap.reply())
        with dovecot.mailbox() as mailbox:
            mailbox.select("INBOX")
            mailbox.store("1", "+FLAGS", "\\Seen")
        assert await collector.step() == 1
        assert await at_imap.outcomes() == ["acknowledged"]

    async def test_a_lost_connection_is_made_again(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        collector = await at_imap.collector()
        assert await collector.step() == 0
        dovecot.hang_up()
        dovecot.deliver(at_imap.reply())
        assert await collector.step() == 1

    async def test_a_server_that_is_away_is_on_record_and_nothing_is_lost(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.reply())
        dovecot.stop()
        collector = await at_imap.collector()
        for _ in range(5):
            with pytest.raises(MailboxDown, match=dovecot.host):
                await collector.step()
        place = await at_imap.place()
        assert (place.failures, place.token) == (5, None)
        assert place.last_error
        dovecot.start()
        assert await collector.step() == 1
        assert [one for one in await at_imap.types() if one.startswith("mailbox.")] == [
            "mailbox.left_alone",
            "mailbox.works_again",
        ]
        assert (await at_imap.place()).last_error is None

    async def test_mails_that_are_numbered_anew_are_not_taken_twice(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.reply("comment"))
        collector = await at_imap.collector()
        assert await collector.step() == 1
        numbering = (await at_imap.place()).numbering
        dovecot.stop()
        dovecot.number_anew()
        dovecot.start()
        dovecot.deliver(at_imap.reply("says more"))
        await collector.step()
        assert (await at_imap.place()).numbering != numbering
        assert sorted(await at_imap.outcomes()) == ["acknowledged", "noted"]

    async def test_two_relays_take_each_once(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        for number in range(12):
            dovecot.deliver(at_imap.reply("out of office", number))
        both = [await at_imap.collector() for _ in range(2)]
        for _ in range(3):
            await asyncio.gather(*(one.step() for one in both))
        assert await at_imap.outcomes() == ["ignored"] * 12
        assert (await at_imap.types()).count("reply.set_aside") == 12

    async def test_a_mail_that_is_too_large_is_not_fetched_whole(
        self, at_imap: Office, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(collect, "LARGEST", 5_000)
        monkeypatch.setattr(collect, "BEGINNING", 2_000)
        await at_imap.ask()
        dovecot.deliver(at_imap.reply("long line"))
        collector = await at_imap.collector()
        letters = []
        read = collector.mailbox.read

        async def spied(item: Item, most: int) -> bytes | None:
            letters.append(await read(item, most))
            return letters[-1]

        monkeypatch.setattr(collector.mailbox, "read", spied)
        await collector.step()
        assert len(letters[0] or b"") == 2_000
        async with at_imap.own.store.reading() as tx:
            assert (await tx.session.scalars(select(Reply.why))).all() == ["too_large"]

    @pytest.mark.parametrize(
        ("wrong", "words", "step"),
        [
            ({"imap_password": SecretStr("wrong-secret")}, "login is refused", "CASEWRIGHT_IMAP_PASSWORD"),
            ({"imap_ca_file": None}, "certificate", "CASEWRIGHT_IMAP_CA_FILE"),
            ({"imap_folder": "Nowhere"}, "Nowhere", "nothing is lost"),
            ({"imap_port": 1}, "refused", "nothing is lost"),
        ],
    )
    async def test_wrong_settings_are_told_and_no_secret(
        self, at_imap: Office, dovecot: Dovecot, wrong: dict[str, object], words: str, step: str
    ):
        settings = Settings(home=at_imap.own.settings.home, **imap(dovecot, **wrong))  # type: ignore[arg-type]
        collector = await at_imap.collector(settings)
        with pytest.raises(MailboxDown, match=re.compile(words, re.IGNORECASE)) as refused:
            await collector.step()
        assert step in refused.value.next_step
        assert "secret" not in refused.value.diagnostics()

    async def test_starttls_demands_the_upgrade(self, at_imap: Office, dovecot: Dovecot):
        await at_imap.ask()
        dovecot.deliver(at_imap.reply())
        more = {"imap_port": dovecot.plain_port, "imap_security": "starttls"}
        settings = Settings(home=at_imap.own.settings.home, **imap(dovecot, **more))  # type: ignore[arg-type]
        assert await (await at_imap.collector(settings)).step() == 1


@pytest.mark.usefixtures("at_any_time")
class TestSpool:
    async def test_files_are_taken_and_moved_away(self, at_spool: Office, tmp_path: Path):
        await at_spool.ask()
        spool = tmp_path / "spool"
        put(spool, "b.eml", at_spool.reply())
        put(spool, "a.eml", at_spool.reply("comment"))
        put(spool, "notes.txt", b"no mail")
        (spool / "link.eml").symlink_to("/etc/passwd")
        collector = await at_spool.collector()
        assert await collector.step() == 2
        assert await at_spool.outcomes() == ["noted", "acknowledged"]
        assert sorted(one.name for one in (spool / "taken").iterdir()) == ["a.eml", "b.eml"]
        assert await collector.step() == 0
        put(spool, "a.eml", at_spool.reply("comment"))
        assert await collector.step() == 1, "one that was taken before is moved away, and changes nothing"
        assert len(list((spool / "taken").iterdir())) == 3
        assert await at_spool.count(Note) == 1

    async def test_the_relay_goes_on_when_the_folder_comes(
        self, at_spool: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(collect, "_LOOK_EVERY", 0.01)
        await at_spool.ask()
        (tmp_path / "spool").rmdir()
        relay = asyncio.create_task(collect.collect_replies(at_spool.own))
        await until(partial(self.failed, at_spool), within=60, every=0.05)
        (tmp_path / "spool").mkdir()
        put(tmp_path / "spool", "a.eml", at_spool.reply())
        await until(partial(self.took, at_spool), within=60, every=0.05)
        relay.cancel()
        with pytest.raises(asyncio.CancelledError):
            await relay
        assert await at_spool.outcomes() == ["acknowledged"]

    @staticmethod
    async def failed(office: Office) -> bool:
        return await office.count(ReplyMailbox) == 1 and (await office.place()).failures > 0

    @staticmethod
    async def took(office: Office) -> bool:
        return bool(await office.outcomes())

    async def test_a_maildir_is_one(self, at_spool: Office, tmp_path: Path):
        await at_spool.ask()
        for name in ("new", "cur", "tmp"):
            (tmp_path / "spool" / name).mkdir()
        put(tmp_path / "spool" / "new", "1.M1.host", at_spool.reply())
        assert await (await at_spool.collector()).step() == 1
        assert [one.name for one in (tmp_path / "spool" / "cur").iterdir()] == ["1.M1.host:2,S"]

    async def test_a_folder_that_is_not_there_is_told(self, at_spool: Office, tmp_path: Path):
        (tmp_path / "spool").rmdir()
        with pytest.raises(MailboxDown, match="No such file") as refused:
            await (await at_spool.collector()).step()
        assert "spool" in refused.value.next_step

    async def test_a_mail_that_breaks_us_is_set_aside_and_the_next_one_is_taken(
        self, at_spool: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        await at_spool.ask()
        put(tmp_path / "spool", "a.eml", at_spool.reply("comment"))
        put(tmp_path / "spool", "b.eml", at_spool.reply())
        take, came = collect.replies.take_letter, []

        async def breaks(*args: object, **options: object) -> object:
            came.append(args)
            if len(came) == 1:
                raise KeyError("no such thing")
            return await take(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(collect.replies, "take_letter", breaks)
        assert await (await at_spool.collector()).step() == 2
        assert await at_spool.outcomes() == ["refused", "acknowledged"]

    @pytest.mark.parametrize("before", [True, False], ids=["before it is on record", "before it is marked"])
    async def test_a_relay_that_dies_takes_nothing_twice(
        self, at_spool: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
    ):
        await at_spool.ask()
        put(tmp_path / "spool", "a.eml", at_spool.reply("says more"))
        first = await at_spool.collector()

        async def dies(*_args: object, **_options: object) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patched:
            owner, name = (collect.replies, "take_letter") if before else (first.mailbox, "done")
            patched.setattr(owner, name, dies)
            with pytest.raises(asyncio.CancelledError):
                await first.step()
        second = await at_spool.collector()
        assert await second.step() == 0, "the lease of the dead one still holds"
        async with at_spool.own.store.transaction() as tx:
            (await tx.session.get_one(ReplyMailbox, "spool")).lease_until = None
        assert await second.step() == 1
        assert await at_spool.outcomes() == ["acknowledged"]
        assert await at_spool.count(Note) == await at_spool.count(Evidence) == 1


class TestSetUp:
    def test_nothing_is_read_and_no_letter_says_so_without_settings(self, tmp_path: Path):
        assert mailbox_of(Settings(home=tmp_path)) is None

    def test_no_mail_is_read_unencrypted(self, tmp_path: Path):
        login = {"imap_user": "a", "imap_password": SecretStr("b"), "imap_security": "none"}
        with pytest.raises(RepliesRefused, match=r"imap\.example"):
            mailbox_of(Settings(home=tmp_path, imap_host="imap.example", **login))  # type: ignore[arg-type]
        assert mailbox_of(Settings(home=tmp_path, imap_host="localhost", **login)) is not None  # type: ignore[arg-type]

    @pytest.mark.parametrize("sender", ["casewright-of-the-whole-company@corp.example", "soc+a@corp.example", "nobody"])
    def test_an_address_without_room_is_refused(self, tmp_path: Path, sender: str):
        with pytest.raises(RepliesRefused) as refused:
            addresses_of(Settings(home=tmp_path, smtp_from=sender))
        assert "CASEWRIGHT_REPLY_ADDRESS" in refused.value.next_step

    async def test_a_relay_whose_replies_are_set_up_wrongly_goes_on_without(
        self, at_spool: Office, caplog: pytest.LogCaptureFixture
    ):
        settings = at_spool.own.settings.model_copy(update={"smtp_from": "nobody"})
        await collect.collect_replies(Resources(settings, at_spool.own.store, at_spool.own.blobs, {}))
        assert "No replies are read" in caplog.text
