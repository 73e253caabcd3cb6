"""Messages to owners, through the relay to a real SMTP server on loopback."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from sqlalchemy import select

from case_store import cases, find, migrate, models, people, tasks
from case_store.actor import Actor
from case_store.audit import sequencer
from case_store.audit.checkpoints import Signer, opened
from case_store.blobs import Blobs
from case_store.settings import Settings
from case_store.sinks import state
from case_store.sinks.address import parse
from case_store.store import CaseStore
from flows.relay import forward, post
from flows.relay.channels import channels
from flows.resources import Resources
from notifiers.folder import FolderNotifier
from notifiers.testing.smtp import SmtpServer
from sop.library import Library, directories
from tests.site import ACTIONS, PEOPLE, SOPS

BY = Actor.system("test")
TO_OWNERS = select(models.OutboxEntry).where(models.OutboxEntry.template == "assigned")


@pytest.fixture
async def mail() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def at_hand(tmp_path: Path, mail: SmtpServer) -> AsyncIterator[Resources]:
    settings = Settings(
        home=tmp_path, smtp_host=mail.host, smtp_port=mail.port, smtp_security="none", smtp_from="soc@example.org"
    )
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield Resources(settings, store, Blobs(settings.blobs), {})
    await store.close()


async def ask(own: Resources, due_at: datetime | None) -> None:
    """Have a task wait for ben."""
    library = Library.load(directories([SOPS]), (ACTIONS,))
    at = datetime.now(UTC)
    async with own.store.transaction() as tx:
        await people.import_(tx, people.parse_csv(PEOPLE), set(library.roles), by=BY, at=at)
        case = await cases.open_case(tx, library.sops["short"], "A case", by=BY, at=at)
        task = await find.task_of(tx, case, "tell")
        await tasks.ask(tx, task, parameters=None, due_at=due_at, by=BY, at=at)


async def test_owners_hear_of_their_tasks_and_of_overdue_ones(at_hand: Resources, mail: SmtpServer) -> None:
    await ask(at_hand, datetime.now(UTC) - timedelta(minutes=1))
    notifiers = channels(at_hand.settings)
    assert await post.send_due(at_hand, notifiers) == 1
    assert await post.mark_overdue(at_hand) == 1
    assert await post.mark_overdue(at_hand) == 0
    assert await post.send_due(at_hand, notifiers) == 1
    await mail.wait_for(2)

    subjects = [str(one.letter["Subject"]) for one in mail.received]
    assert "Tell somebody" in subjects[0]
    assert "verdue" in subjects[1]
    assert all(one.letter["To"].addresses[0].addr_spec == "ben@example.com" for one in mail.received)
    async with at_hand.store.reading() as tx:
        assert set(await tx.session.scalars(select(models.OutboxEntry.state))) == {"sent"}
        types = list(await tx.session.scalars(select(models.AuditEvent.type)))
    assert types.count("notification.sent") == 2
    assert "task.overdue" in types
    for notifier in notifiers.values():
        await notifier.close()


async def test_a_message_outlives_a_wrong_password_at_the_mail_server(at_hand: Resources) -> None:
    await ask(at_hand, None)
    wrong = at_hand.settings.model_copy(update={"smtp_user": "soc", "smtp_password": SecretStr("wrong")})
    assert await post.send_due(at_hand, channels(wrong)) == 1
    async with at_hand.store.reading() as tx:
        (entry,) = (await tx.session.scalars(TO_OWNERS)).all()
        assert entry.state == "pending"
        assert entry.next_at >= datetime.now(UTC) + timedelta(minutes=4)
        assert "wrong" not in (entry.last_error or "")


async def test_without_a_channel_a_message_is_given_up_and_that_is_on_record(at_hand: Resources) -> None:
    await ask(at_hand, None)
    assert await post.send_due(at_hand, {}) == 1
    async with at_hand.store.reading() as tx:
        (entry,) = (await tx.session.scalars(TO_OWNERS)).all()
    assert (entry.state, entry.last_error) == ("dead", "the channel email is not set up")


async def test_the_daily_checkpoint_reaches_the_auditor_as_it_was_signed(at_hand: Resources, mail: SmtpServer) -> None:
    signer = Signer("test/audit", Ed25519PrivateKey.generate())
    address = parse("mailto:ben@example.com", "checkpoints")
    async with at_hand.store.transaction() as tx:
        await people.import_(
            tx,
            people.parse_csv(PEOPLE),
            set(Library.load(directories([SOPS]), (ACTIONS,)).roles),
            by=BY,
            at=datetime.now(UTC),
        )
        await state.register(tx, [address], by=BY, at=datetime.now(UTC))
    sealed = await sequencer.seal(at_hand.store, signer, datetime.now(UTC))
    assert sealed is not None
    for _ in range(2):
        await forward.Delivery(at_hand.store, address).step()
    notifiers = channels(at_hand.settings)
    assert await post.send_due(at_hand, notifiers) == 1
    await mail.wait_for(1)
    (letter,) = [one.letter for one in mail.received]
    (attached,) = letter.iter_attachments()
    assert attached.get_content() == sealed.note.encode()
    assert opened(attached.get_content().decode(), signer.verifier())
    assert attached.get_filename() == f"checkpoint-{sealed.size}.txt"
    assert sealed.note in letter.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert f"{sealed.size} events" in letter["Subject"]
    async with at_hand.store.reading() as tx:
        types = list(await tx.session.scalars(select(models.AuditEvent.type)))
    assert types.count("notification.sent") == 1
    for notifier in notifiers.values():
        await notifier.close()


def test_with_a_folder_for_mail_nothing_is_sent(tmp_path: Path) -> None:
    assert isinstance(channels(Settings(home=tmp_path, mail_folder=tmp_path))["email"], FolderNotifier)
