"""Messages to owners, through the relay to a real SMTP server on loopback."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store import cases, find, migrate, models, people, tasks
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay import post
from flows.relay.channels import channels
from flows.resources import Resources
from notifiers.testing.smtp import SmtpServer
from sop.library import Library, directories
from tests.site import ACTIONS, PEOPLE, SOPS

BY = Actor.system("test")


@pytest.fixture
async def mail() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


async def test_owners_hear_of_their_tasks_and_of_overdue_ones(tmp_path: Path, mail: SmtpServer) -> None:
    settings = Settings(
        home=tmp_path, smtp_host=mail.host, smtp_port=mail.port, smtp_security="none", smtp_from="soc@example.org"
    )
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    own = Resources(settings, store, Blobs(settings.blobs), {})
    library = Library.load(directories([SOPS]), (ACTIONS,))
    at = datetime.now(UTC)
    async with store.transaction() as tx:
        await people.import_(tx, people.parse_csv(PEOPLE), set(library.roles), by=BY, at=at)
        case = await cases.open_case(tx, library.sops["short"], "A case", by=BY, at=at)
        task = await find.task_of(tx, case, "tell")
        await tasks.ask(tx, task, parameters=None, due_at=at - timedelta(minutes=1), by=BY, at=at)

    notifiers = channels(settings)
    assert await post.send_due(own, notifiers) == 1
    assert await post.mark_overdue(own) == 1
    assert await post.mark_overdue(own) == 0
    assert await post.send_due(own, notifiers) == 1
    await mail.wait_for(2)

    subjects = [str(one.letter["Subject"]) for one in mail.received]
    assert "Tell somebody" in subjects[0]
    assert "verdue" in subjects[1]
    assert all(one.letter["To"].addresses[0].addr_spec == "ben@example.com" for one in mail.received)
    async with store.reading() as tx:
        assert set(await tx.session.scalars(select(models.OutboxEntry.state))) == {"sent"}
        types = list(await tx.session.scalars(select(models.AuditEvent.type)))
    assert types.count("notification.sent") == 2
    assert "task.overdue" in types
    for notifier in notifiers.values():
        await notifier.close()
    await store.close()
