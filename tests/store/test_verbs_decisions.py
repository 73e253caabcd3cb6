"""People decide: who may, what is needed, and what is on record afterwards."""

import pytest
from sqlalchemy import select

from case_store import audit, cases, find, signals, tasks
from case_store.actor import Actor
from case_store.audit import private
from case_store.forms import FormRefused
from case_store.lifecycle import NotAllowedNow
from case_store.models import Note, OutboxEntry, Person, Task
from case_store.refusals import (
    AlreadyDecided,
    FourEyes,
    MandatoryTask,
    NotApprover,
    NotYours,
    PersonInactive,
    TextRequired,
    WrongKind,
)
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

ANSWERS = {"verdict": "phishing", "hosts": "3"}


def signed(person: Person) -> dict[str, object]:
    return {"signed_by": person, "via": "cli", "by": Actor.person(person), "at": LATER}


async def ask(store: CaseStore, drill: World, key: str, **options: object) -> None:
    async with store.transaction() as tx:
        options = {"parameters": None, "due_at": LATER, **options}
        await tasks.ask(tx, await world.task(tx, drill, key), by=ENGINE, at=NOW, **options)


async def complete(tx: Tx, drill: World, key: str, person: Person, **options: object) -> Task:
    options = {"form_values": {}, "note": None, **options}
    return await tasks.complete(tx, await world.task(tx, drill, key), **signed(person), **options)


async def failed(store: CaseStore, drill: World, outcome: str = "failed") -> None:
    async with store.transaction() as tx:
        run = await tasks.start_action(
            tx, await world.task(tx, drill, "extract"), run_id="r", code_version="1", inputs={}, by=ENGINE, at=NOW
        )
        await tasks.finish_action(tx, run, outcome=outcome, output={}, error="no route", by=ENGINE, at=NOW)


async def events(tx: Tx, drill: World, prefix: str = "task.") -> list[tuple[str, dict[str, object]]]:
    trail = await audit.tail(tx, 0, drill.case, limit=1000)
    bodies = await private.read(tx, [event.body for event in trail if event.type.startswith(prefix)])
    found = [(body["type"], body["facts"]) for body in bodies]
    return [one for one in found if one[0] != "task.planned"]


async def test_asking_finds_the_owner_and_promises_notices(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    await ask(store, drill, "report")
    await ask(store, drill, "tidy")
    async with store.reading() as tx:
        confirm = await world.task(tx, drill, "confirm")
        assert (confirm.state, confirm.owner_id, confirm.owner_role) == ("open", None, "tier1")
        assert (confirm.opened_at, confirm.due_at) == (NOW, LATER)
        assert (await world.task(tx, drill, "report")).owner_id == drill.ada.id
        tidy = await world.task(tx, drill, "tidy")
        assert (tidy.owner_id, tidy.owner_role) == (None, "tier1"), "a handle nobody has falls back to the case's owner"
        entries = (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.task_id == confirm.id))).all()
        assert {(entry.recipient_id, entry.channel) for entry in entries} == {
            (drill.ada.id, "email"),
            (drill.bob.id, "email"),
        }


async def test_asking_again_changes_nothing(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    await ask(store, drill, "confirm", due_at=NOW)
    async with store.reading() as tx:
        assert (await world.task(tx, drill, "confirm")).due_at == LATER
        assert [kind for kind, _ in await events(tx, drill)] == ["task.opened"]


async def test_who_has_the_role_becomes_the_owner_and_completes(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    async with store.transaction() as tx:
        done = await complete(tx, drill, "confirm", drill.bob, form_values=ANSWERS, note="Seen it before.")
        assert done.state == "done"
    async with store.reading() as tx:
        confirm = await world.task(tx, drill, "confirm")
        assert (confirm.owner_id, confirm.closed_by_id, confirm.signed_by) == (drill.bob.id, drill.bob.id, "bob")
        assert (confirm.decision, confirm.decided_at, confirm.decided_via) == ("completed", LATER, "cli")
        assert confirm.form_values == {"verdict": "phishing", "hosts": 3}
        note = await tx.session.get(Note, confirm.note_id)
        assert note is not None
        assert (note.body, note.author, note.task_id) == ("Seen it before.", f"person:{drill.bob.id}", confirm.id)
        assert await events(tx, drill) == [
            ("task.opened", {"owner_rule": "role:tier1"}),
            ("task.assigned", {"to": "bob", "role": "tier1"}),
            ("task.completed", {"signed_by": "bob", "via": "cli"}),
        ]
        assert (await signals.run_of(tx, drill.case.id)).generation == 2
        assert (await signals.run_of(tx, drill.case.id)).signal_at == LATER


async def test_somebody_else_first_takes_it_over(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    with pytest.raises(NotYours, match="task 'report' of CASE-1 belongs to ada, not to bob") as refusal:
        async with store.transaction() as tx:
            await complete(tx, drill, "report", drill.bob)
    assert "take it over" in refusal.value.next_step
    async with store.transaction() as tx:
        await complete(tx, drill, "report", drill.bob, take_over=True)
    async with store.reading() as tx:
        report = await world.task(tx, drill, "report")
        assert (report.owner_id, report.state) == (drill.bob.id, "done")
        assert [kind for kind, _ in await events(tx, drill)] == ["task.opened", "task.taken_over", "task.completed"]
        assert (await events(tx, drill))[1][1] == {"by": "bob", "from": "ada"}


async def test_who_lacks_the_role_takes_over_from_the_role(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    with pytest.raises(NotYours, match="belongs to role tier1, not to eve"):
        async with store.transaction() as tx:
            await complete(tx, drill, "confirm", drill.eve, form_values=ANSWERS, note="x")
    async with store.transaction() as tx:
        await complete(tx, drill, "confirm", drill.eve, form_values=ANSWERS, note="x", take_over=True)
    async with store.reading() as tx:
        assert (await events(tx, drill))[1] == ("task.taken_over", {"by": "eve", "from": "role tier1"})


async def test_a_refused_decision_leaves_no_trace(store: CaseStore):
    """Ownership changes before the decision; when the decision is refused, it has not changed."""
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    for error, answers, note in (
        (FormRefused, {"verdict": "ham"}, "x"),
        (FormRefused, {}, "x"),
        (TextRequired, ANSWERS, None),
        (TextRequired, ANSWERS, " \n"),
    ):
        with pytest.raises(error):
            async with store.transaction() as tx:
                await complete(tx, drill, "confirm", drill.ada, form_values=answers, note=note)
    async with store.reading() as tx:
        confirm = await world.task(tx, drill, "confirm")
        assert (confirm.state, confirm.owner_id, confirm.note_id) == ("open", None, None)
        assert [kind for kind, _ in await events(tx, drill)] == ["task.opened"]
        assert (await signals.run_of(tx, drill.case.id)).generation == 1


async def test_a_manual_task_has_no_form(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    with pytest.raises(FormRefused, match="verdict: the form has no such field"):
        async with store.transaction() as tx:
            await complete(tx, drill, "report", drill.ada, form_values=ANSWERS)


async def test_whoever_comes_second_is_told_who_was_first(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    async with store.transaction() as tx:
        await complete(tx, drill, "report", drill.ada)
    with pytest.raises(AlreadyDecided) as refusal:
        async with store.transaction() as tx:
            await complete(tx, drill, "report", drill.bob, take_over=True)
    told = "task 'report' of CASE-1 is already completed at 2026-03-02 09:10:00 UTC, by ada via cli"
    assert str(refusal.value) == told
    assert (refusal.value.who, refusal.value.when, refusal.value.via) == ("ada", LATER, "cli")


async def test_a_task_that_was_cancelled_was_decided_by_nobody(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        await cases.cancel(tx, drill.case, "twice", by=SYSTEM, at=NOW)
    with pytest.raises(AlreadyDecided, match=r"is already cancelled at 2026-03-02 09:00:00 UTC$") as refusal:
        async with store.transaction() as tx:
            await complete(tx, drill, "report", drill.ada)
    assert refusal.value.who is None


async def test_a_task_that_was_not_asked_yet_cannot_be_decided(store: CaseStore):
    drill = await world.build(store)
    with pytest.raises(NotAllowedNow, match="task 'report' of CASE-1 is waiting") as refusal:
        async with store.transaction() as tx:
            await complete(tx, drill, "report", drill.ada)
    assert "asked for" in refusal.value.next_step


async def test_who_has_left_decides_nothing(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        ada.active = False
        tx.record("person.changed", ada, by=SYSTEM, at=NOW)
    with pytest.raises(PersonInactive, match="ada is not active"):
        async with store.transaction() as tx:
            await complete(tx, drill, "report", ada)
    with pytest.raises(PersonInactive):
        async with store.transaction() as tx:
            await tasks.reassign(tx, await world.task(tx, drill, "extract"), ada, by=SYSTEM, at=LATER)


# ---- approvals -----------------------------------------------------------------------------------------------------

PARAMETERS = {"url": "https://gateway.example/block"}


async def test_an_approved_action_waits_for_the_engine(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    async with store.transaction() as tx:
        block = await world.task(tx, drill, "block")
        await tasks.approve(tx, block, note="Do it.", **signed(drill.mia))
    async with store.reading() as tx:
        block = await world.task(tx, drill, "block")
        assert (block.state, block.decision, block.signed_by) == ("waiting", "approved", "mia")
        assert (block.decided_at, block.closed_at, block.owner_id) == (LATER, None, drill.mia.id)
        assert block.parameters == PARAMETERS
        assert (await signals.run_of(tx, drill.case.id)).generation == 2


@pytest.mark.parametrize("verb", [tasks.approve, tasks.reject])
async def test_an_approval_counts_once(store: CaseStore, verb):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    async with store.transaction() as tx:
        await tasks.approve(tx, await world.task(tx, drill, "block"), **signed(drill.mia))
    with pytest.raises(AlreadyDecided, match=r"is already approved at .* by mia via cli"):
        async with store.transaction() as tx:
            await verb(tx, await world.task(tx, drill, "block"), take_over=True, **signed(drill.max))


async def test_an_approval_without_an_action_is_done(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "sign-off")
    async with store.transaction() as tx:
        assert (await world.task(tx, drill, "sign-off")).owner_id == drill.mia.id
        done = await tasks.approve(tx, await world.task(tx, drill, "sign-off"), **signed(drill.mia))
        assert (done.state, done.decision, done.closed_by_id) == ("done", "approved", drill.mia.id)


async def test_rejecting_closes_it(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    async with store.transaction() as tx:
        done = await tasks.reject(tx, await world.task(tx, drill, "block"), **signed(drill.max))
        assert (done.state, done.decision, done.closed_at) == ("rejected", "rejected", LATER)


@pytest.mark.parametrize("verb", [tasks.approve, tasks.reject])
async def test_only_whom_the_sop_names_may_approve_and_no_take_over_helps(store: CaseStore, verb):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    await ask(store, drill, "sign-off")
    for key, stranger, who in (("block", drill.ada, "role:manager"), ("sign-off", drill.max, "user:mia")):
        with pytest.raises(NotApprover, match=f"is decided by {who}, which {stranger.handle} is not"):
            async with store.transaction() as tx:
                await verb(tx, await world.task(tx, drill, key), take_over=True, **signed(stranger))


async def test_an_approval_cannot_be_given_into_other_hands(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    with pytest.raises(NotApprover):
        async with store.transaction() as tx:
            await tasks.reassign(tx, await world.task(tx, drill, "block"), drill.ada, by=SYSTEM, at=LATER)
    with pytest.raises(NotApprover):
        async with store.transaction() as tx:
            await tasks.take_over(tx, await world.task(tx, drill, "block"), by_person=drill.ada, by=SYSTEM, at=LATER)


async def test_another_approver_takes_it_over(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    async with store.transaction() as tx:
        await tasks.reassign(tx, await world.task(tx, drill, "block"), drill.mia, by=SYSTEM, at=NOW)
    with pytest.raises(NotYours):
        async with store.transaction() as tx:
            await tasks.approve(tx, await world.task(tx, drill, "block"), **signed(drill.max))
    async with store.transaction() as tx:
        done = await tasks.approve(tx, await world.task(tx, drill, "block"), take_over=True, **signed(drill.max))
        assert (done.decision, done.owner_id) == ("approved", drill.max.id)


@pytest.mark.parametrize("verb", [tasks.approve, tasks.reject])
async def test_whoever_opened_the_case_may_not_approve(store: CaseStore, verb):
    async with store.transaction() as tx:
        made = await world.people(tx)
        opener = Actor.person(made["mia"])
        case = await cases.open_case(tx, world.sop(), "Mine", by=opener, at=NOW)
        drill = World(case, **made)
    await ask(store, drill, "block", parameters=PARAMETERS)
    with pytest.raises(FourEyes, match="mia opened the case"):
        async with store.transaction() as tx:
            await verb(tx, await world.task(tx, drill, "block"), **signed(drill.mia))
    await ask(store, drill, "sign-off")
    async with store.transaction() as tx:
        await verb(tx, await world.task(tx, drill, "block"), **signed(drill.max))
        sign_off = await verb(tx, await world.task(tx, drill, "sign-off"), **signed(drill.mia))
        assert sign_off.closed_at == LATER, "where the SOP does not ask for four eyes, two are enough"


async def test_an_approval_is_not_completed_and_a_form_not_approved(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    await ask(store, drill, "report")
    with pytest.raises(WrongKind, match="asks for an approval"):
        async with store.transaction() as tx:
            await complete(tx, drill, "block", drill.mia)
    for verb in (tasks.approve, tasks.reject):
        with pytest.raises(WrongKind, match="asks for no approval"):
            async with store.transaction() as tx:
                await verb(tx, await world.task(tx, drill, "report"), **signed(drill.ada))


# ---- skip, retry, by hand ------------------------------------------------------------------------------------------


async def test_skipping_needs_a_reason_and_is_on_record(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    with pytest.raises(TextRequired):
        async with store.transaction() as tx:
            await tasks.skip(tx, await world.task(tx, drill, "confirm"), " ", **signed(drill.ada))
    async with store.transaction() as tx:
        await tasks.skip(tx, await world.task(tx, drill, "confirm"), "Known sender.", **signed(drill.ada))
    async with store.reading() as tx:
        confirm = await world.task(tx, drill, "confirm")
        assert (confirm.state, confirm.decision, confirm.reason) == ("skipped", "skipped", "Known sender.")
        assert (await events(tx, drill))[-1] == ("task.skipped", {"signed_by": "ada", "via": "cli"})


async def test_a_mandatory_task_is_not_skipped(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    with pytest.raises(MandatoryTask, match="task 'report' of CASE-1 is mandatory"):
        async with store.transaction() as tx:
            await tasks.skip(tx, await world.task(tx, drill, "report"), "No time.", **signed(drill.ada))


async def test_skipping_somebody_elses_task_takes_it_over(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "confirm")
    with pytest.raises(NotYours):
        async with store.transaction() as tx:
            await tasks.skip(tx, await world.task(tx, drill, "confirm"), "No.", **signed(drill.eve))
    async with store.transaction() as tx:
        await tasks.skip(tx, await world.task(tx, drill, "confirm"), "No.", take_over=True, **signed(drill.eve))


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
async def test_what_went_wrong_is_tried_again(store: CaseStore, outcome: str):
    drill = await world.build(store)
    await failed(store, drill, outcome)
    async with store.transaction() as tx:
        extract = await world.task(tx, drill, "extract")
        assert (extract.reason, extract.owner_role) == ("no route", "tier1")
        await tasks.retry(tx, extract, note="The route is back.", **signed(drill.ada))
    async with store.reading() as tx:
        extract = await world.task(tx, drill, "extract")
        assert (extract.state, extract.attempt, extract.reason, extract.closed_at) == ("waiting", 2, None, None)
        kind, facts = (await events(tx, drill))[-1]
        assert kind == "task.retried"
        was = "failed" if outcome == "failed" else "unknown_outcome"
        assert facts == {"signed_by": "ada", "via": "cli", "was": was, "reason": "no route"}
        assert (await signals.run_of(tx, drill.case.id)).generation == 2


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
async def test_what_went_wrong_is_done_by_hand(store: CaseStore, outcome: str):
    drill = await world.build(store)
    await failed(store, drill, outcome)
    async with store.transaction() as tx:
        done = await complete(tx, drill, "extract", drill.ada, note="Copied the addresses myself.")
        assert (done.state, done.decision, done.closed_by_id) == ("done", "done_by_hand", drill.ada.id)


async def test_only_what_went_wrong_is_tried_again(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    with pytest.raises(NotAllowedNow, match="is open"):
        async with store.transaction() as tx:
            await tasks.retry(tx, await world.task(tx, drill, "report"), **signed(drill.ada))


async def test_a_failed_approved_action_done_by_hand_is_still_approved(store: CaseStore):
    """A condition may ask `tasks.block.decision == "approved"`: that it was approved stays true."""
    drill = await world.build(store)
    await ask(store, drill, "block", parameters=PARAMETERS)
    async with store.transaction() as tx:
        block = await tasks.approve(tx, await world.task(tx, drill, "block"), **signed(drill.mia))
        run = await tasks.start_action(tx, block, run_id="r", code_version="1", inputs=PARAMETERS, by=ENGINE, at=LATER)
        await tasks.finish_action(tx, run, outcome="failed", output={}, error="503", by=ENGINE, at=LATER)
        for verb in (tasks.approve, tasks.reject):
            with pytest.raises(NotAllowedNow, match="is failed") as refusal:
                await verb(tx, block, **signed(drill.mia))
            assert "try the action again" in refusal.value.next_step
        done = await complete(tx, drill, "block", drill.mia)
        assert (done.state, done.decision) == ("done", "approved")


# ---- handing over --------------------------------------------------------------------------------------------------


async def test_a_task_is_reassigned_and_the_new_owner_told(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        await tasks.reassign(tx, report, drill.bob, by=SYSTEM, at=LATER)
        await tasks.reassign(tx, report, drill.bob, by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        report = await world.task(tx, drill, "report")
        assert report.owner_id == drill.bob.id
        told = await tx.session.scalars(select(OutboxEntry.recipient_id).where(OutboxEntry.task_id == report.id))
        assert sorted(told) == sorted([drill.ada.id, drill.bob.id])
        assert [kind for kind, _ in await events(tx, drill)] == ["task.opened", "task.reassigned"]


async def test_a_task_is_taken_over_once(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        await tasks.take_over(tx, report, by_person=drill.eve, by=Actor.person(drill.eve), at=LATER)
        await tasks.take_over(tx, report, by_person=drill.eve, by=Actor.person(drill.eve), at=LATER)
        assert report.owner_id == drill.eve.id
    async with store.reading() as tx:
        assert [kind for kind, _ in await events(tx, drill)] == ["task.opened", "task.taken_over"]


async def test_a_closed_task_changes_hands_no_more(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    async with store.transaction() as tx:
        await complete(tx, drill, "report", drill.ada)
    with pytest.raises(AlreadyDecided):
        async with store.transaction() as tx:
            await tasks.reassign(tx, await world.task(tx, drill, "report"), drill.bob, by=SYSTEM, at=LATER)
    with pytest.raises(AlreadyDecided):
        async with store.transaction() as tx:
            await tasks.take_over(tx, await world.task(tx, drill, "report"), by_person=drill.bob, by=SYSTEM, at=LATER)
