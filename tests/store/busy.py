"""A life with everything that came to cases since: clocks, deadlines, links, codes, absences, messages, alerts."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from case_store import (
    absence,
    access,
    alerts,
    breaches,
    cases,
    codes,
    contacts,
    deadlines,
    escalation,
    find,
    links,
    outbox,
    overdue,
    pausing,
    privacy,
    replies,
    tasks,
)
from case_store.alert_formats import ParsedAlert
from case_store.blobs import Blobs
from case_store.links import Answer, LinkKeys
from case_store.models import Case, OutboxEntry, Person
from case_store.store import Tx
from sop.loader import loads
from tests.store import world
from tests.store.life import Life
from tests.store.world import ENGINE

LINK_KEYS = LinkKeys(("k" * 43,))
WATCHED = """\
sop: drill
deadlines: [{name: Law, after: 72h, met_by: report}]
escalation: [{after: 0, to: owner}]
"""
PEOPLE = ("ada", "bob", "mia", "max", "eve")
FEW = outbox.Policy({"email": 2})
RESULTS = (
    outbox.Result("ok", "<1>"),
    outbox.Result("permanent", error="550 no such user", bad_address=True),
    outbox.Result("permanent", error="535 wrong password", channel_fault=True),
    outbox.Result("temporary", error="451 later"),
    outbox.Result("unknown", error="timed out"),
)


class Busy(Life):
    """Somebody who does anything at all, also around a case: each method is a verb, or one of several."""

    names: tuple[str | None, ...] = ()

    async def _case(self, tx: Tx) -> Case:
        return await find.case(tx, self.drill.case.id)

    async def _person(self, tx: Tx) -> Person:
        return await find.person(tx, self.drill[self.chance.choice(PEOPLE)].id)

    async def _one_of(self, *verbs: Callable[[], Awaitable[Any]]) -> Any:
        return await self.chance.choice(verbs)()

    async def clocks(self, tx: Tx, at: datetime) -> None:
        case, task, way = await self._case(tx), await self._task(tx), {"by": ENGINE, "at": at}
        stage = await find.stage_of(tx, case, "analyse")
        await self._one_of(
            lambda: pausing.pause_case(tx, case, "waits for the police", **way),
            lambda: pausing.resume_case(tx, case, **way),
            lambda: pausing.pause_task(tx, task, "waits for Anna", **way),
            lambda: pausing.resume_task(tx, task, **way),
            lambda: overdue.mark_overdue(tx, task, **way),
            lambda: breaches.mark(tx, stage, **way),
        )

    async def watch(self, tx: Tx, at: datetime) -> None:
        """Open a case with a deadline and a ladder, or do something about one."""
        way = {"by": ENGINE, "at": at}
        watched = (await tx.session.scalars(select(Case).where(Case.title == "Watched"))).first()
        if watched is None:
            sop = loads(world.SOP_TEXT.replace("sop: drill\n", WATCHED))
            watched = await cases.open_case(tx, sop, "Watched", **way)
            await tasks.ask(tx, await find.task_of(tx, watched, "confirm"), parameters=None, due_at=at, **way)
            return
        law, confirm = await deadlines.of_case(tx, watched, "Law"), await find.task_of(tx, watched, "confirm")
        much_later = {"by": ENGINE, "at": at + timedelta(days=self.chance.randrange(5))}
        await self._one_of(
            lambda: deadlines.meet(tx, watched, "law", "Anna told them", person=self.drill.ada, **way),
            lambda: deadlines.move(tx, watched, "Law", at - timedelta(hours=self.chance.randrange(9)), **way),
            lambda: deadlines.pass_by(tx, law, **much_later),
            lambda: escalation.climb(tx, confirm, **much_later),
        )

    async def see(self, tx: Tx, at: datetime) -> None:
        case, way = await self._case(tx), {"by": ENGINE, "at": at}
        await self._one_of(
            lambda: access.restrict(tx, case, [self.drill.ada, "manager"], "Anna is in it", **way),
            lambda: access.unrestrict(tx, case, "It was nothing", **way),
            lambda: access.unrestrict(tx, case, "It was nothing", **way),
        )

    async def care(self, tx: Tx, at: datetime) -> None:
        person, task = await self._person(tx), await self._task(tx)
        await tasks.acknowledge(tx, task, person, via="cli", by=ENGINE, at=at)

    async def link(self, tx: Tx, at: datetime) -> None:
        """Mint a link, or come with one; the rest of a step that is refused leaves no trace."""
        task, person, way = await self._task(tx), await self._person(tx), {"by": ENGINE, "at": at}
        if self.chance.random() < 0.5:
            lasts = timedelta(seconds=60)
            token = await links.mint(tx, task, person, "email", keys=LINK_KEYS, lasts=lasts, **way)
            self.names += (LINK_KEYS.read_link(token),) if token else ()
            return
        name = self.chance.choice((*self.names, None))
        decision = self.chance.choice(("done", "skip", "approve"))
        form = {"verdict": "spam", "hosts": "1"} if decision == "done" else {}
        await self._one_of(
            lambda: links.answer(tx, name, Answer(decision, "seen", form), **way),
            lambda: links.opened(tx, name, count=1, **way),
            lambda: links.refused(tx, name, "expired", count=1, **way),
            lambda: links.revoke(tx, task, "Anna lost her phone", **way),
            lambda: links.send_code(tx, name, **way),
            lambda: links.check_code(tx, name, decision, "12345678", **way),
        )

    async def code(self, tx: Tx, at: datetime) -> None:
        task, person, way = await self._task(tx), await self._person(tx), {"by": ENGINE, "at": at}
        if self.chance.random() < 0.5:
            await codes.send(tx, task, person, away_from=None, **way)
            return
        wanted = select(OutboxEntry).where(OutboxEntry.template == "code", OutboxEntry.recipient_id == person.id)
        sent = (await tx.session.scalars(wanted.order_by(OutboxEntry.id.desc()))).first()
        digits = sent.context["code"].get("digits", "") if sent else ""  # what has gone has forgotten them
        entered, away_from = self.chance.choice((digits, digits, "12345678")), self.chance.choice((None, "sms"))
        await codes.check(tx, task, person, entered, away_from=away_from, **way)

    async def renew(self, tx: Tx, at: datetime) -> None:
        """Ask for the approval of an action, give it, and have its parameters settled anew."""
        block, way = await world.task(tx, self.drill, "block"), {"by": ENGINE, "at": at}
        signer = await self._person(tx)
        await self._one_of(
            lambda: tasks.ask(tx, block, parameters={"url": "x"}, due_at=None, **way),
            lambda: tasks.approve(tx, block, note=None, signed_by=signer, via="cli", **way),
            lambda: tasks.renew(tx, block, **way),
        )

    async def people(self, tx: Tx, at: datetime) -> None:
        person, other, way = await self._person(tx), await self._person(tx), {"by": ENGINE, "at": at}
        until = at + timedelta(seconds=self.chance.randrange(1, 20))
        deputy = other if other.id != person.id else None
        channel = self.chance.choice(("email", "sms"))
        await self._one_of(
            lambda: absence.set_away(tx, person, start=at, until=until, deputy=deputy, **way),
            lambda: absence.set_back(tx, person, **way),
            lambda: contacts.opt_out(tx, person, channel, why=f"{person.handle} said STOP", **way),
            lambda: contacts.opt_in(tx, person, channel, why="START", **way),
            lambda: contacts.mark_bad(tx, person, channel, why="550", **way),
            lambda: contacts.mark_good(tx, person, channel, why="it works", **way),
        )

    async def post(self, tx: Tx, at: datetime) -> None:
        """Send what is promised, with every outcome; take back, send again, hear of it later."""
        way = {"by": ENGINE, "at": at}
        await outbox.cancel_needless(tx, **way)
        for entry in await outbox.claim(tx, at, timedelta(seconds=5), 3, str(at)):
            await outbox.settle(tx, entry, self.chance.choice(RESULTS), policy=FEW, **way)
        some = (await tx.session.scalars(select(OutboxEntry).order_by(OutboxEntry.id))).all()
        if some:
            entry = self.chance.choice(some)
            word = self.chance.choice(("delivered", "undelivered", "sent"))
            await self._one_of(
                lambda: outbox.retry(tx, entry.id, **way),
                lambda: outbox.cancel(tx, entry.id, "Anna knows", **way),
                lambda: outbox.receipt(tx, entry.channel, entry.provider_ref or "", word, code="30003", **way),
                lambda: outbox.expire(tx, by=ENGINE, at=at + timedelta(days=2)),
            )

    async def hear(self, tx: Tx, at: datetime) -> None:
        """An alert comes, or comes again, or gets a case; somebody writes back."""
        number = self.chance.randrange(3)
        alert = ParsedAlert("wazuh", str(number), "Anna logged in", "low", "3", None, None, {"user": "anna"})
        raw = f'{{"n": {self.chance.randrange(2)}}}'.encode()
        found, _ = await alerts.receive(tx, alert, raw, Blobs(self.store.blobs), by=ENGINE, at=at)
        if self.chance.random() < 0.2:
            await cases.open_case(tx, world.sop(), "Of an alert", alert=found, by=ENGINE, at=at)
        if self.chance.random() < 0.3:
            await privacy.erase_alert(tx, found, basis="asked", by=ENGINE, at=at)
        said = self.chance.choice(("hello", "ACK 1", "STOP", "START"))
        sender = replies.Sender(await self._person(tx), "sms", f"SM{self.chance.randrange(40)}")
        await replies.take(tx, sender, replies.read(said), by=ENGINE, at=at)

    verbs = (*Life.verbs, clocks, watch, see, care, link, link, link, code, renew, people, post, post, hear)
