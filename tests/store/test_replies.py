"""Mails that come back: taken once, believed as little as they deserve, kept as evidence; none of them decides."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import access, find, outbox, people, privacy, replies, tasks
from case_store.audit import fold
from case_store.blobs import Blobs
from case_store.errors import StoreError
from case_store.links import LinkKeys
from case_store.models import AuditEvent, Evidence, Note, OutboxEntry, Reply, ReplyMailbox
from case_store.outbox import Policy
from case_store.replies import Addresses, Letter, Taken, mailboxes
from case_store.store import CaseStore
from case_store.views.replies import replies as listed
from flows.replies.reading import read_letter
from tests.mails import CORPUS, mail
from tests.store import world
from tests.store.messages import entries
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

ADDRESSES = Addresses("soc@corp.example", LinkKeys(("k" * 43,)))
MINUTE = timedelta(minutes=1)


class Post:
    """The message to Ada about a task, which was sent, and mails that come back to it."""

    def __init__(self, store: CaseStore, drill: World, entry: OutboxEntry) -> None:
        self.store, self.drill, self.entry = store, drill, entry
        self.blobs = Blobs(store.blobs)

    def letter(self, name: str = "comment", *, to: str | None = None, **places: object) -> Letter:
        kind = ADDRESSES.bounce_to if name in {*BOUNCES, "out of office"} else ADDRESSES.reply_to
        raw = mail(name, to=to or str(kind(self.entry.id)), ours=str(self.entry.provider_ref), **places)  # type: ignore[arg-type]
        return read_letter(raw, ADDRESSES)

    async def take(self, letter: Letter, at=LATER) -> Taken | None:
        async with self.store.transaction() as tx:
            return await replies.take_letter(tx, self.blobs, letter, by=SYSTEM, at=at)

    async def comes(self, name: str, at=LATER, **places: object) -> Taken:
        taken = await self.take(self.letter(name, **places), at)
        assert taken is not None
        return taken

    async def task(self):
        async with self.store.reading() as tx:
            return await world.task(tx, self.drill, "report")

    async def notes(self) -> list[str]:
        async with self.store.reading() as tx:
            return list(await tx.session.scalars(select(Note.body).order_by(Note.id)))

    async def evidence(self) -> Sequence[Evidence]:
        async with self.store.reading() as tx:
            return (await tx.session.scalars(select(Evidence).order_by(Evidence.id))).all()

    async def answers(self) -> list[str]:
        """What is promised to be told to whoever wrote: to whom, and about what."""
        wanted = select(OutboxEntry).where(OutboxEntry.template == "reply").order_by(OutboxEntry.id)
        async with self.store.reading() as tx:
            assert all(one.recipient_id == self.drill.ada.id for one in await tx.session.scalars(wanted))
            return [one.context["reply"]["about"] for one in await tx.session.scalars(wanted)]

    async def types(self) -> list[str]:
        async with self.store.reading() as tx:
            return list(await tx.session.scalars(select(AuditEvent.type).order_by(AuditEvent.id)))

    async def state(self) -> str:
        async with self.store.reading() as tx:
            return (await tx.session.get_one(OutboxEntry, self.entry.id)).state


BOUNCES = {"bounce", "bounce of another", "mailbox full", "delayed", "delivered", "no report in the report"}


@pytest.fixture
async def post(store: CaseStore) -> Post:
    drill = await world.build(store)
    async with store.transaction() as tx:
        await tasks.ask(tx, await world.task(tx, drill, "report"), parameters=None, due_at=LATER, by=ENGINE, at=NOW)
    async with store.transaction() as tx:
        entry = (await outbox.claim(tx, NOW, MINUTE, 1, "token", channel="email"))[0]
        await outbox.settle(tx, entry, outbox.Result("ok", "<case-1.a1@corp.example>"), by=ENGINE, at=NOW)
    return Post(store, drill, entry)


@pytest.mark.parametrize(("name", "notes"), [("gmail", 0), ("german", 0), ("says more", 1), ("unknown charset", 0)])
async def test_a_word_acknowledges(post: Post, name: str, notes: int):
    assert await post.comes(name) == Taken("acknowledged", 1, 1)
    task = await post.task()
    assert (task.acknowledged_by_id, task.acknowledged_via) == (post.drill.ada.id, "email")
    assert (task.state, task.decision) == ("open", None)
    assert await post.answers() == ["acknowledged"]
    assert len(await post.notes()) == notes


@pytest.mark.parametrize("name", ["two senders", "two from", "name that looks like an address"])
async def test_no_trick_with_the_sender_acknowledges(post: Post, name: str):
    assert (await post.comes(name)).outcome in {"refused", "noted"}
    assert (await post.task()).acknowledged_at is None
    assert await post.answers() == []


async def test_anything_else_is_a_note_and_decides_nothing(post: Post):
    names = [name for name, made in CORPUS.items() if made.kind in {"comment", "decide"}]
    for hour, name in enumerate(names):
        taken = await post.comes(name, LATER + timedelta(hours=hour))
        assert (taken.outcome, taken.decides) == ("noted", CORPUS[name].kind == "decide")
        note, kept = (await post.notes())[-1], (await post.evidence())[-1]
        assert note.startswith(f"Unverified, by email, from the address of Ada: {CORPUS[name].text}")
        assert f"SHA-256 {kept.sha256}" in note
        assert (await post.answers())[-1] == ("decide" if CORPUS[name].kind == "decide" else "noted")
    task = await post.task()
    assert (task.state, task.decision, task.acknowledged_at) == ("open", None, None)


async def test_what_nobody_wrote_is_passed_over(post: Post):
    for name in [name for name, made in CORPUS.items() if made.automatic and name not in BOUNCES]:
        assert (await post.comes(name)).outcome == "ignored"
        assert (await post.types())[-1] == "reply.set_aside"
    assert (await post.task()).acknowledged_at is None
    assert (await post.notes(), await post.evidence(), await post.answers()) == ([], [], [])


async def test_the_mail_as_it_came_is_evidence(post: Post):
    raw = mail("with attachments", to=ADDRESSES.reply_to(post.entry.id))
    await post.take(read_letter(raw, ADDRESSES))
    (kept,) = await post.evidence()
    assert await post.blobs.read(kept.sha256) == raw
    assert (kept.case_id, kept.task_id, kept.claimed_type) == (post.entry.case_id, post.entry.task_id, "message/rfc822")
    assert "with 1 attached" in (await post.notes())[0]


async def test_a_mail_is_taken_once_whoever_brings_it(post: Post):
    letter = post.letter("says more")
    came = await asyncio.gather(*(post.take(letter) for _ in range(5)), return_exceptions=True)
    assert [one for one in came if isinstance(one, Taken)] == [Taken("acknowledged", 1, 1)]
    assert all(one is None or isinstance(one, Taken | StoreError) for one in came)
    assert await post.take(letter) is None
    assert len(await post.notes()) == len(await post.evidence()) == len(await post.answers()) == 1
    assert (await post.types()).count("reply.received") == 1


async def test_from_another_address_it_is_a_note_that_says_so_and_no_answer(post: Post):
    assert (await post.comes("gmail", sender="ada@home.example")).outcome == "noted"
    assert (await post.task()).acknowledged_at is None
    assert "from ada@home.example, which is not the address of Ada" in (await post.notes())[0]
    assert await post.answers() == []


async def test_what_only_names_our_message_is_a_note(post: Post):
    """A Message-ID is no secret: it stands in what people forward."""
    assert (await post.comes("gmail", to="soc@corp.example")).outcome == "noted"
    assert (await post.task()).acknowledged_at is None
    assert await post.answers() == []
    assert (await post.comes("gmail", to="soc@corp.example", sender="eve@evil.example", number=2)).why == "sender"
    assert len(await post.notes()) == 1


@pytest.mark.parametrize("to", ["soc@corp.example", "soc+" + "r" + "a" * 42 + "@corp.example"])
async def test_what_names_no_message_is_refused(post: Post, to: str):
    letter = read_letter(mail("gmail", to=to), ADDRESSES)
    taken = await post.take(letter)
    assert taken == Taken("refused", why="unknown")
    assert (await post.notes(), await post.evidence(), await post.answers()) == ([], [], [])


async def test_who_may_not_see_the_case_meets_what_a_stranger_does(post: Post):
    async with post.store.transaction() as tx:
        case = await find.case(tx, post.drill.case.id)
        await access.restrict(tx, case, [post.drill.bob], "an insider", by=SYSTEM, at=NOW)
    taken = await post.comes("gmail")
    assert taken == Taken("refused", why="hidden")
    assert (await post.notes(), await post.evidence(), await post.answers()) == ([], [], [])
    assert "access.refused" in await post.types()
    assert (await post.task()).acknowledged_at is None


async def test_by_text_neither(post: Post):
    async with post.store.transaction() as tx:
        case = await find.case(tx, post.drill.case.id)
        await access.restrict(tx, case, [post.drill.bob], "an insider", by=SYSTEM, at=NOW)
    async with post.store.transaction() as tx:
        sender = replies.Sender(await find.person(tx, "ada"), "sms", "SM1")
        taken = await replies.take(tx, sender, replies.read("ack 1"), by=SYSTEM, at=LATER)
    assert taken is not None
    assert taken.words == "CASE-1 has nothing that waits for you."
    assert (await post.task()).acknowledged_at is None


async def test_who_may_see_a_restricted_case_answers_as_ever(post: Post):
    async with post.store.transaction() as tx:
        case = await find.case(tx, post.drill.case.id)
        await access.restrict(tx, case, [post.drill.ada], "an insider", by=SYSTEM, at=NOW)
    assert (await post.comes("gmail")).outcome == "acknowledged"


async def test_a_task_that_is_decided_waits_for_nobody(post: Post):
    async with post.store.transaction() as tx:
        signed = {"signed_by": post.drill.ada, "via": "cli", "by": SYSTEM, "at": NOW}
        task = await world.task(tx, post.drill, "report")
        await tasks.complete(tx, task, form_values={}, note=None, **signed)
    assert (await post.comes("gmail")).outcome == "nothing_waits"
    assert await post.answers() == ["nothing_waits"]


async def test_two_machines_do_not_talk_for_long(post: Post):
    came = [await post.comes("comment", number=number) for number in range(8)]
    assert [one.outcome for one in came] == ["noted"] * 5 + ["refused"] * 3
    assert came[-1].why == "too_many"
    assert len(await post.notes()) == len(await post.answers()) == len(await post.evidence()) == 5
    assert (await post.comes("comment", LATER + timedelta(hours=1), number=9)).outcome == "noted"


async def test_nobody_uses_up_what_is_the_persons(post: Post):
    for number in range(6):
        await post.comes("comment", number=number, sender="eve@evil.example")
    assert len(await post.notes()) == 5
    assert (await post.comes("gmail")).outcome == "acknowledged"


async def test_one_that_is_too_large_is_told_so_and_not_kept(post: Post):
    raw = mail("gmail", to=ADDRESSES.reply_to(post.entry.id))
    assert await post.take(read_letter(raw[:900], ADDRESSES, whole=False)) == Taken("refused", why="too_large")
    assert await post.answers() == ["too_large"]
    assert await post.evidence() == []
    for length in range(901, 910):  # a loop of these ends too
        await post.take(read_letter(raw[:length], ADDRESSES, whole=False))
    assert await post.answers() == ["too_large"] * 5


@pytest.mark.parametrize("name", ["empty", "quotes only", "html that never ends"])
async def test_one_that_says_nothing_is_refused(post: Post, name: str):
    assert (await post.comes(name)).why == "empty"


class TestBounces:
    async def test_an_address_that_reaches_nobody_is_bad_and_the_person_is_told_another_way(self, post: Post):
        async with post.store.transaction() as tx:
            await people.import_(
                tx, people.parse_csv("handle,name,email,phone,roles\nada,Ada,ada@example.org,+4930901820,tier1\n"),
                {"tier1"}, by=SYSTEM, at=NOW,
            )  # fmt: skip
        assert (await post.comes("bounce")).outcome == "receipt"
        assert await post.state() == "dead"
        async with post.store.reading() as tx:
            assert (await find.person(tx, "ada")).bad_addresses == ["email"]
            instead = select(OutboxEntry).where(OutboxEntry.instead_of == post.entry.id)
            assert (await tx.session.scalars(instead)).one().channel == "sms"
        assert (await post.evidence())[0].name.startswith("bounce-")
        types = await post.types()
        assert {"notification.failed", "reply.reported", "person.address_bad"} <= set(types)

    @pytest.mark.parametrize("name", ["bounce of another", "mailbox full"])
    async def test_otherwise_the_address_is_not_to_blame(self, post: Post, name: str):
        assert (await post.comes(name)).outcome == "receipt"
        assert await post.state() == "dead"
        async with post.store.reading() as tx:
            assert (await find.person(tx, "ada")).bad_addresses is None

    async def test_one_that_comes_again_changes_nothing(self, post: Post):
        await post.comes("bounce")
        assert await post.take(post.letter("bounce")) is None
        assert (await post.comes("bounce", number=2)).why == "known"
        assert (await post.types()).count("notification.failed") == 1

    async def test_a_letter_that_arrived_is_delivered(self, post: Post):
        assert (await post.comes("delivered")).outcome == "receipt"
        assert await post.state() == "delivered"

    @pytest.mark.parametrize("name", ["delayed", "out of office", "no report in the report"])
    async def test_what_says_nothing_final_changes_nothing(self, post: Post, name: str):
        assert (await post.comes(name)).outcome == "ignored"
        assert await post.state() == "sent"

    async def test_a_report_that_did_not_come_to_the_signed_address_is_not_believed(self, post: Post):
        assert (await post.comes("bounce", to=ADDRESSES.reply_to(post.entry.id))).outcome == "ignored"
        assert (await post.comes("bounce", to="soc+b@corp.example", number=2)).outcome == "ignored"
        assert await post.state() == "sent"


class TestErasing:
    async def worked(self, post: Post) -> None:
        await post.comes("comment")
        await post.comes("comment", number=2, sender="ada@home.example")
        async with post.store.transaction() as tx:
            signed = {"signed_by": post.drill.bob, "via": "cli", "by": SYSTEM, "at": LATER, "take_over": True}
            await tasks.complete(tx, await world.task(tx, post.drill, "report"), form_values={}, note=None, **signed)

    async def test_erasing_a_person_takes_their_mails_and_notes_along(self, post: Post):
        await self.worked(post)
        files = {one.sha256 for one in await post.evidence()}
        async with post.store.transaction() as tx:
            done = await privacy.erase_person(tx, await find.person(tx, "ada"), basis="Art. 17", by=SYSTEM, at=LATER)
        assert (done.traces.replies, set(done.files)) == (4, files)
        assert all(body.startswith("erased-") for body in await post.notes())
        assert all(one.name.startswith("erased-") for one in await post.evidence())
        async with post.store.transaction() as tx:
            again = await privacy.erase_person(
                tx, await find.person(tx, post.drill.ada.id), basis="x", by=SYSTEM, at=LATER
            )
        assert again.already
        async with post.store.reading() as tx:
            assert [str(one) async for one in fold.differences(tx)] == []

    async def test_who_was_erased_or_left_is_answered_no_more(self, post: Post):
        await self.worked(post)
        async with post.store.transaction() as tx:
            await privacy.erase_person(tx, await find.person(tx, "ada"), basis="Art. 17", by=SYSTEM, at=LATER)
        assert (await post.comes("comment", number=3)).why == "inactive"
        assert len(await post.notes()) == 2

    async def test_no_event_holds_what_was_written_or_from_where(self, post: Post):
        await self.worked(post)
        async with post.store.reading() as tx:
            text = "\n".join(await tx.session.scalars(select(AuditEvent.body)))
        for value in ("home.example", "is <b>known", "comment.1@a.test"):
            assert value not in text


async def test_the_listing_tells_what_became_of_each(post: Post):
    await post.comes("gmail")
    await post.comes("gmail", sender="eve@evil.example", to="soc@corp.example", number=2)
    async with post.store.reading() as tx:
        rows = await listed(tx)
        assert {(one.outcome, one.why, one.case_number, one.task, one.person) for one in rows} == {
            ("acknowledged", None, 1, "report", "ada"),
            ("refused", "sender", 1, "report", "ada"),
        }
        assert len(await listed(tx, case=post.drill.case)) == 2


async def test_a_row_is_written_once(post: Post, sql):
    await post.comes("gmail")
    for statement in ("UPDATE replies SET outcome = 'noted'", "DELETE FROM replies"):
        with pytest.raises(Exception, match="replies"):
            await sql(statement)
    async with post.store.reading() as tx:
        assert (await tx.session.scalars(select(Reply.outcome))).all() == ["acknowledged"]


class TestMailboxes:
    async def test_one_relay_reads_at_a_time(self, store: CaseStore):
        async def claim(token: str, at):
            async with store.transaction() as tx:
                return await mailboxes.claim(tx, "imap", token, at)

        first = await claim("a", NOW)
        assert first is not None
        assert await claim("b", NOW) is None
        assert await claim("a", NOW) == first, "it may go on after a fault"
        later = await claim("b", NOW + mailboxes.LEASE)
        assert later is not None
        async with store.transaction() as tx:
            assert not await mailboxes.move(tx, first, numbering=1, cursor=7, at=LATER), "who slept takes nothing"
            assert await mailboxes.move(tx, later, numbering=1, cursor=8, at=LATER)
        assert await claim("c", NOW - timedelta(days=1)) is not None, "the clock was set back"

    async def test_both_at_once_make_one_row(self, store: CaseStore):
        async def claim(token: str):
            async with store.transaction() as tx:
                return await mailboxes.claim(tx, "imap", token, NOW)

        came = await asyncio.gather(*(claim(token) for token in "abcd"), return_exceptions=True)
        assert sum(isinstance(one, mailboxes.Reading) for one in came) == 1, came

    async def test_failures_are_on_record_at_the_fifth_and_when_they_end(self, store: CaseStore):
        drill = await world.build(store)
        for time in range(6):
            async with store.transaction() as tx:
                reading = await mailboxes.claim(tx, "imap", "a", NOW)
                assert reading is not None
                await mailboxes.failed(tx, reading, "no route", by=SYSTEM, at=NOW, policy=Policy({}, "manager"))
            told = await entries(store, template="alarm")
            heard = {(one.recipient_id, one.channel) for one in told}
            both = {(drill.mia.id, "sms"), (drill.max.id, "sms")} if time >= 4 else set()
            assert (heard, len(told)) == (both, len(both)), "those in charge hear of it once, and not by mail"
        async with store.reading() as tx:
            row = await tx.session.get_one(ReplyMailbox, "imap")
            assert (row.failures, row.failed_at, row.last_error) == (6, NOW, "no route")
        async with store.transaction() as tx:
            reading = await mailboxes.claim(tx, "imap", "a", LATER)
            assert reading is not None
            await mailboxes.worked(tx, reading, by=SYSTEM, at=LATER)
        async with store.reading() as tx:
            types = list(await tx.session.scalars(select(AuditEvent.type).where(AuditEvent.type.like("mailbox.%"))))
            assert types == ["mailbox.left_alone", "mailbox.works_again"]
