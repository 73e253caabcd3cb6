"""Messages carry a link by which their reader may answer, where the SOP allows it and a page answers."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store import migrate, models, outbox, tasks
from case_store.blobs import Blobs
from case_store.links import LinkKeys, revoke
from case_store.models import AnswerLink, AuditEvent
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.clock import now
from flows.relay import post
from flows.relay.channels import channels
from flows.resources import Resources
from notifiers.contract import Outcome
from notifiers.testing.smtp import SmtpServer
from tests.post_office import LOST, PostOffice
from tests.store import world
from tests.store.world import ENGINE

URL = "https://soar.example.org"
LINK = re.compile(rf"{URL}/a/(\S+)")


@pytest.fixture
async def mail() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def own(tmp_path: Path, mail: SmtpServer) -> AsyncIterator[Resources]:
    settings = Settings(
        home=tmp_path, smtp_host=mail.host, smtp_port=mail.port, smtp_security="none", public_url=f"{URL}/"
    )
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield Resources(settings, store, Blobs(settings.blobs), {})
    await store.close()


async def ask(own: Resources, *keys: str) -> None:
    drill = await world.build(own.store)
    async with own.store.transaction() as tx:
        for key in keys:
            task = await world.task(tx, drill, key)
            await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=now())


async def sent(own: Resources, mail: SmtpServer, count: int) -> list[str]:
    notifiers = channels(own.settings)
    assert await post.send_due(own, {"email": notifiers["email"]}) == count
    await mail.wait_for(count)
    for notifier in notifiers.values():
        await notifier.close()
    return [one.letter.get_body(("plain",)).get_content() for one in mail.received]


async def test_the_owner_gets_a_link_of_their_own(own: Resources, mail: SmtpServer):
    await ask(own, "report")
    (text,) = await sent(own, mail, 1)
    token = LINK.search(text)
    assert token
    name = LinkKeys.load(own.settings.keys).read_link(token[1])
    async with own.store.reading() as tx:
        link = (await tx.session.scalars(select(AnswerLink))).one()
        person = await tx.session.get_one(models.Person, link.person_id)
        assert (link.name_sha256, link.channel, link.decisions, person.handle) == (name, "email", ["done"], "ada")
        bodies = list(await tx.session.scalars(select(AuditEvent.body)))
        contexts = list(await tx.session.scalars(select(models.OutboxEntry.context)))
    assert not any(token[1] in f"{body}" for body in [*bodies, *contexts]), "the database does not have the link"


async def test_each_of_a_role_gets_another_link(own: Resources, mail: SmtpServer):
    await ask(own, "confirm")
    links = {found[1] for text in await sent(own, mail, 2) if (found := LINK.search(text))}
    assert len(links) == 2


@pytest.mark.parametrize(
    "why", ["the SOP allows nothing", "no page answers", "the case is not for every eye", "no key"]
)
async def test_else_the_message_names_the_prefect_ui(
    own: Resources, mail: SmtpServer, monkeypatch: pytest.MonkeyPatch, why: str
):
    if why == "no page answers":
        own = replace(own, settings=own.settings.model_copy(update={"public_url": None}))
    if why == "the case is not for every eye":
        monkeypatch.setattr("case_store.links.minting.hides_content", lambda _case: True)
    if why == "no key":
        own.settings.keys.mkdir()
        (own.settings.keys / "links.key").write_text("short\n")
    await ask(own, "sign-off" if why == "the SOP allows nothing" else "report")
    (text,) = await sent(own, mail, 1)
    assert "/a/" not in text
    assert own.settings.prefect_ui_url in text
    async with own.store.reading() as tx:
        assert (await tx.session.scalars(select(AnswerLink))).all() == []


async def test_a_message_about_the_record_carries_no_link(own: Resources):
    entry = models.OutboxEntry(template="alarm", channel="email", dedup_key="x", recipient_id="y")
    make = post.personal_links(own, post.BY)
    assert make is not None
    assert await make(entry, models.Person(handle="ada")) is None


async def test_a_message_has_one_link_however_often_it_is_tried(own: Resources):
    await ask(own, "report")
    failing = [Outcome.temporary("451"), LOST]
    office, clock = PostOffice(can_find=False, answers=[*failing]), [now()]
    lane = replace(post.lane_of(own, "email", office), clock=lambda: clock[0])
    for _ in range(2):
        await lane.send_due()
        clock[0] += timedelta(minutes=1)
    async with own.store.transaction() as tx:
        await outbox.expire(tx, by=post.BY, at=clock[0] + timedelta(minutes=10))
    clock[0] += timedelta(minutes=11)
    await lane.send_due()
    assert (office.tries, len(office.has)) == (3, 2)
    tokens = [found[1] for one in office.has if (found := LINK.search(one.text))]
    names = {LinkKeys.load(own.settings.keys).read_link(token) for token in tokens}
    assert (len(tokens), len(names)) == (2, 1), "whichever of the two is read"
    async with own.store.reading() as tx:
        made = (await tx.session.scalars(select(AnswerLink))).one()
        assert made.revoked_at is None
        types = list(await tx.session.scalars(select(AuditEvent.type)))
    assert types.count("answer_link.minted") == 1


async def test_what_is_not_sent_makes_no_link(own: Resources):
    await ask(own, "report")
    async with own.store.transaction() as tx:
        at = now()
        await outbox.claim(tx, at, timedelta(seconds=1), 1, "dies", channel="email")
    office, clock = PostOffice(), [at + timedelta(minutes=1)]
    lane = replace(post.lane_of(own, "email", office), clock=lambda: clock[0])
    await lane.send_due()
    assert (office.tries, office.asked) == (0, 1)
    async with own.store.reading() as tx:
        assert (await tx.session.scalars(select(AnswerLink))).all() == []


async def test_a_link_that_was_taken_back_is_not_sent_again(own: Resources):
    await ask(own, "report")
    office, clock = PostOffice(answers=[Outcome.temporary("451")]), [now()]
    lane = replace(post.lane_of(own, "email", office), clock=lambda: clock[0])
    await lane.send_due()
    async with own.store.transaction() as tx:
        link = (await tx.session.scalars(select(AnswerLink))).one()
        task = await tx.session.get_one(models.Task, link.task_id)
        assert await revoke(tx, task, "the mailbox was read", by=ENGINE, at=clock[0]) == 1
    clock[0] += timedelta(minutes=1)
    await lane.send_due()
    (told,) = office.has
    assert "/a/" not in told.text
