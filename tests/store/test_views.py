"""What pages and listings show, and the values that conditions see."""

import json

import pytest

from case_store import cases, evidence, find, notes, observables, people, scope, stages, tasks, views
from case_store.actor import Actor
from case_store.alert_formats import parse
from case_store.alerts import receive
from case_store.audit import RunState, note_run_states
from case_store.blobs import Blobs
from case_store.models import Case
from case_store.people import parse_csv
from case_store.refusals import NotFound
from case_store.store import CaseStore, Tx
from sop.conditions import evaluate, roots, value
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

RAW = json.dumps(
    {"source": "gateway", "source_ref": "1", "title": "Mail\u202e!", "severity": "high", "fields": {"score": 9.5}}
).encode()


async def lived(store: CaseStore) -> World:
    """Build a case in which a good deal has happened."""
    async with store.transaction() as tx:
        made = await world.people(tx)
        alert, _ = await receive(tx, parse(RAW)[0], RAW, Blobs(store.blobs), by=SYSTEM, at=NOW)
        opener = Actor.person(made["eve"])
        case = await cases.open_case(tx, world.sop(), "Suspicious mail", alert=alert, by=opener, at=NOW)
        drill = World(case, **made)
        await stages.activate(tx, await find.stage_of(tx, case, "analyse"), due_at=LATER, by=ENGINE, at=NOW)
        for key in ("confirm", "report"):
            await tasks.ask(tx, await world.task(tx, drill, key), parameters=None, due_at=LATER, by=ENGINE, at=NOW)
        extract = await world.task(tx, drill, "extract")
        run = await tasks.start_action(
            tx, extract, run_id="r", code_version="1", inputs={"evidence": "x"}, by=ENGINE, at=NOW
        )
        await observables.add(
            tx, case, [("ip", "203.0.113.9"), ("ip", "203.0.113.10")], task=extract, by=ENGINE, at=NOW
        )
        output = {"count": 2, "state": "hacked", "decision": "approved"}
        await tasks.finish_action(tx, run, outcome="succeeded", output=output, by=ENGINE, at=LATER)
    async with store.transaction() as tx:
        await tasks.complete(
            tx,
            await world.task(tx, drill, "confirm"),
            form_values={"verdict": "phishing"},
            note="A known gang.",
            signed_by=drill.ada,
            via="prefect",
            by=Actor.person(drill.ada),
            at=LATER,
        )
        await notes.add(tx, case, "Called the user.", author=drill.bob, by=Actor.person(drill.bob), at=LATER)
        await evidence.attach(
            tx, case, Blobs(store.blobs), name="mail.eml", content=b"From: a@b\n", by=Actor.person(drill.bob), at=LATER
        )
    return drill


async def test_cases_the_newest_first(store: CaseStore):
    drill = await lived(store)
    async with store.transaction() as tx:
        second = await cases.open_case(tx, world.sop(), "Second", owner=drill.ada, by=SYSTEM, at=LATER)
        await cases.cancel(tx, second, "twice", by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        second_row, first_row = await views.cases(tx)
        assert (first_row.number, first_row.title, first_row.severity) == (1, "Suspicious mail", "high")
        assert (first_row.owner, first_row.open_tasks, first_row.sop_key) == ("role:tier1", 1, "drill")
        assert (second_row.owner, second_row.state, second_row.closed_at) == ("ada", "cancelled", LATER)
        assert [row.number for row in await views.cases(tx, state="open")] == [1]
        assert [row.number for row in await views.cases(tx, limit=1)] == [2]


async def test_tasks_the_most_urgent_first(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        urgent = await cases.open_case(tx, world.sop(), "Urgent", "critical", by=SYSTEM, at=NOW)
        for case, due in ((drill.case, LATER), (urgent, LATER)):
            confirm = await find.task_of(tx, case, "confirm")
            await tasks.ask(tx, confirm, parameters=None, due_at=due, by=ENGINE, at=NOW)
        report = await find.task_of(tx, drill.case, "report")
        await tasks.ask(tx, report, parameters=None, due_at=NOW, by=ENGINE, at=NOW)
        extract = await find.task_of(tx, drill.case, "extract")
        run = await tasks.start_action(tx, extract, run_id="r", code_version="1", inputs={}, by=ENGINE, at=NOW)
        await tasks.finish_action(tx, run, outcome="failed", output={}, error="no", by=ENGINE, at=NOW)
    async with store.reading() as tx:
        rows = [(row.case_number, row.key, row.state, row.owner) for row in await views.tasks(tx)]
        assert rows == [
            (1, "report", "open", "ada"),
            (2, "confirm", "open", "role:tier1"),
            (1, "confirm", "open", "role:tier1"),
            (1, "extract", "failed", "role:tier1"),
        ], "what went wrong waits for people too"
        ada, eve = await find.person(tx, "ada"), await find.person(tx, "eve")
        assert len(await views.tasks(tx, owner=ada)) == 4
        bob = await find.person(tx, "bob")
        assert [(row.case_number, row.key) for row in await views.tasks(tx, owner=bob)] == [
            (2, "confirm"),
            (1, "confirm"),
            (1, "extract"),
        ]
        assert await views.tasks(tx, owner=eve) == []
        assert [row.key for row in await views.tasks(tx, state="failed")] == ["extract"]
        assert len(await views.tasks(tx, state=None)) == 14


async def test_a_task_of_a_role_is_everybodys_until_somebody_has_it(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        confirm = await world.task(tx, drill, "confirm")
        await tasks.ask(tx, confirm, parameters=None, due_at=None, by=ENGINE, at=NOW)
        assert [row.key for row in await views.tasks(tx, owner=drill.bob)] == ["confirm"]
        await tasks.take_over(tx, confirm, by_person=drill.ada, by=SYSTEM, at=NOW)
        assert await views.tasks(tx, owner=drill.bob) == []
        assert [row.owner for row in await views.tasks(tx, owner=drill.ada)] == ["ada"]


async def test_alerts_and_people(store: CaseStore):
    await lived(store)
    async with store.transaction() as tx:
        rows = parse_csv("handle,name,manager,roles\nzoe,Zoe,mia,tier1\n")
        await people.import_(tx, rows, {"tier1"}, by=SYSTEM, at=NOW)
    async with store.reading() as tx:
        (alert,) = await views.alerts(tx)
        assert (alert.source, alert.title, alert.case_number, alert.repeats) == ("gateway", "Mail !", 1, 0)
        rows = await views.people(tx)
        assert [row.handle for row in rows] == ["ada", "bob", "eve", "max", "mia", "zoe"]
        assert (rows[-1].manager, rows[-1].roles, rows[-1].active) == ("mia", ("tier1",), True)


async def test_the_page_of_a_case(store: CaseStore):
    drill = await lived(store)
    async with store.reading() as tx:
        page = await views.case(tx, 1)
        assert (page.case.number, page.opened_by, page.resolution, page.sop_version) == (1, "eve", None, 3)
        assert page.sop_digest == drill.case.sop_digest
        assert [(stage.key, stage.state, len(stage.tasks)) for stage in page.stages] == [
            ("analyse", "active", 4),
            ("contain", "waiting", 3),
        ]
        extract, confirm, look, report = page.stages[0].tasks
        assert (extract.state, extract.result) == ("done", {"count": 2, "state": "hacked", "decision": "approved"})
        assert (confirm.owner, confirm.signed_by, confirm.decided_via, confirm.decided_at) == (
            "ada",
            "ada",
            "prefect",
            LATER,
        )
        assert (confirm.form_values, confirm.note) == ({"verdict": "phishing", "hosts": None}, "A known gang.")
        assert (look.state, look.owner, report.owner, report.mandatory) == ("waiting", None, "ada", True)
        assert [(one.type, one.value, one.task) for one in page.observables] == [
            ("ip", "203.0.113.10", "extract"),
            ("ip", "203.0.113.9", "extract"),
        ]
        assert [(one.name, one.added_by) for one in page.evidence] == [
            ("alert-gateway-1.json", "test"),
            ("mail.eml", "bob"),
        ]
        assert [(one.body, one.author, one.task) for one in page.notes] == [
            ("A known gang.", "ada", "confirm"),
            ("Called the user.", "bob", None),
        ]
        assert [alert.source_ref for alert in page.alerts] == ["1"]
        with pytest.raises(NotFound):
            await views.case(tx, 2)


async def told(tx: Tx, case: Case) -> list[tuple[str, str, str]]:
    return [(row.who, row.what, row.detail) for row in await views.timeline(tx, case)]


async def test_the_timeline_tells_what_happened_in_words(store: CaseStore):
    drill = await lived(store)
    async with store.reading() as tx:
        rows = await told(tx, drill.case)
        assert rows[0] == ("eve", "case opened: Suspicious mail", "SOP drill; severity high")
        assert ("engine", "stage started: Analysis", "") in rows
        assert ("engine", "2 observables found", "ip 203.0.113.9, ip 203.0.113.10") in rows
        assert ("ada", "task assigned: Confirm what it is", "to ada") in rows
        completed = ("ada", "task completed: Confirm what it is", "verdict: phishing; signed by ada via prefect")
        assert completed in rows
        assert ("bob", "note written", "Called the user.") in rows
        assert not [row for row in rows if "planned" in row[1]]
        moments = [row.at for row in await views.timeline(tx, drill.case)]
        assert moments == sorted(moments)


async def test_the_timeline_only_ever_grows_at_its_end(store: CaseStore):
    """Whoever follows a case shows the rows that are new, by their number."""
    drill = await lived(store)
    async with store.reading() as tx:
        before = await told(tx, drill.case)
    async with store.transaction() as tx:
        await cases.edit(tx, drill.case, title="Other\ntitle", severity="critical", by=SYSTEM, at=LATER)
        await observables.add(tx, drill.case, [("ip", "203.0.113.11")], by=ENGINE, at=LATER)
        for number, (kind, name) in enumerate((("COMPLETED", "Completed"), ("CRASHED", "Crashed"))):
            state = RunState(
                state_id=f"s{number}",
                run_kind="flow-run",
                run_id="r",
                run_name="CASE-1",
                state_type=kind,
                state_name=name,
                message="out of\nmemory",
            )
            await note_run_states(tx, [(drill.case.id, state, LATER)], by=SYSTEM)
        await cases.cancel(tx, drill.case, "x" * 1000, by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        after = await told(tx, drill.case)
        assert after[: len(before)] == before
        new = after[len(before) :]
        assert new[0] == (
            "test",
            "case changed: Other title",
            "severity high → critical, title Suspicious mail → Other title",
        )
        assert new[1] == ("engine", "1 observable found", "ip 203.0.113.11")
        assert new[2] == ("test", "run crashed: CASE-1", "out of memory")
        assert new[3][1] == "case cancelled: Other title"
        assert len(new[3][2]) == 300


# ---- what conditions see -------------------------------------------------------------------------------------------


async def test_conditions_see_the_case(store: CaseStore):
    drill = await lived(store)
    async with store.reading() as tx:
        seen = await scope.of_case(tx, await find.case(tx, 1))
        alert_raw = (await views.case(tx, 1)).evidence[0].id
    assert evaluate('case.number == 1 && case.severity == "high" && case.owner == null && case.sop == "drill"', seen)
    assert evaluate('alert.source == "gateway" && alert.fields.score > 9.0', seen)
    assert value("alert.raw", seen) == alert_raw
    assert evaluate('tasks.confirm.verdict == "phishing" && tasks.confirm.note == "A known gang."', seen)
    assert evaluate("tasks.extract.count == 2", seen)
    assert value('observables.first("ip")', seen) == "203.0.113.9"
    assert value('observables.all("ip")', seen) == ["203.0.113.9", "203.0.113.10"]
    assert value('observables.first("domain")', seen) is None
    assert drill.case.number == 1


async def test_a_result_cannot_pretend_to_be_a_decision(store: CaseStore):
    """The action of the drill answers with a state and a decision of its own; they count for nothing."""
    await lived(store)
    async with store.reading() as tx:
        seen = await scope.of_case(tx, await find.case(tx, 1))
    assert evaluate('tasks.extract.state == "done" && tasks.extract.decision == null', seen)


async def test_what_nobody_answered_is_there_and_empty(store: CaseStore):
    drill = await world.build(store)
    async with store.reading() as tx:
        seen = await scope.of_case(tx, drill.case)
    assert evaluate("tasks.confirm.verdict == null && tasks.look_around.note == null", seen)
    assert evaluate('tasks.sign_off.state == "waiting" && tasks.block.decision != "approved"', seen)
    assert evaluate("alert.raw == null && !has(alert.raw) && !has(alert.fields.rule)", seen)


async def test_only_what_is_named_is_read(store: CaseStore):
    drill = await lived(store)
    async with store.reading() as tx:
        whole = await scope.of_case(tx, drill.case)
        part = await scope.of_case(tx, drill.case, roots('has(alert.raw) && observables.first("ip") != null', None))
    assert part == {"alert": whole["alert"], "observables": whole["observables"]}


async def test_a_named_owner_is_seen_by_handle(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        await cases.edit(tx, drill.case, owner=drill.ada, by=SYSTEM, at=LATER)
        assert evaluate('case.owner == "ada"', await scope.of_case(tx, await find.case(tx, 1)))
