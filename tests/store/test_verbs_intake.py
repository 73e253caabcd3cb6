"""What comes into a case: alerts, evidence, observables, notes."""

import asyncio
import hashlib
import json
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from case_store import alerts, audit, cases, evidence, find, notes, observables
from case_store.actor import Actor
from case_store.alert_formats import ParsedAlert, parse
from case_store.audit import private
from case_store.blobs import Blobs
from case_store.models import Alert, Evidence, NoteRevision, Observable
from case_store.refusals import AlertHasCase, TextRequired
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM

RAW = json.dumps(
    {
        "source": "mail-gateway",
        "source_ref": "47/11",
        "title": "Reported mail",
        "severity": "high",
        "occurred_at": "2026-03-02T08:59:00Z",
        "fields": {"score": 9.5, "hosts": ["a", "b"], "nested": {"none": None}},
    }
).encode()
PARSED = parse(RAW)[0]


@pytest.fixture
def blobs(store: CaseStore) -> Blobs:
    return Blobs(store.blobs)


async def receive(store: CaseStore, parsed: ParsedAlert = PARSED, raw: bytes = RAW) -> tuple[Alert, bool]:
    async with store.transaction() as tx:
        return await alerts.receive(tx, parsed, raw, Blobs(store.blobs), by=SYSTEM, at=NOW)


async def count(tx: Tx, what: type) -> int:
    return await tx.session.scalar(select(func.count()).select_from(what)) or 0


async def test_an_alert_is_kept_with_its_untouched_bytes(store: CaseStore, blobs: Blobs):
    alert, new = await receive(store)
    assert new
    async with store.reading() as tx:
        alert = await find.alert(tx, alert.id)
        assert (alert.title, alert.severity, alert.repeats, alert.case_id) == ("Reported mail", "high", 0, None)
        assert alert.fields == {"score": 9.5, "hosts": ["a", "b"], "nested": {"none": None}}
        raw = await find.evidence(tx, alert.evidence_id or "")
        assert (raw.name, raw.case_id, raw.alert_id) == ("alert-mail-gateway-47-11.json", None, alert.id)
        assert raw.media_type == "application/json"
        assert await blobs.read(raw.sha256) == RAW


async def test_a_repeat_is_counted_and_not_another_alert(store: CaseStore):
    first, _ = await receive(store)
    again, new = await receive(store)
    assert (again.id, again.repeats, new) == (first.id, 1, False)
    changed, new = await receive(store, PARSED, RAW + b" ")
    assert (changed.repeats, new) == (2, False)
    async with store.reading() as tx:
        assert await count(tx, Alert) == 1
        assert await count(tx, Evidence) == 2, "the same bytes once, other bytes too"
        types = [event.type for event in await audit.tail(tx)]
        assert types.count("alert.repeated") == 2


async def test_the_same_alert_from_many_at_once_is_one(store: CaseStore):
    results = await asyncio.gather(*(receive(store) for _ in range(6)))
    assert sum(new for _, new in results) == 1
    async with store.reading() as tx:
        assert (await tx.session.scalars(select(Alert.repeats))).all() == [5]


async def test_another_reference_or_source_is_another_alert(store: CaseStore):
    for parsed in (PARSED, replace(PARSED, source_ref="47/12"), replace(PARSED, source="other")):
        assert (await receive(store, parsed))[1]


async def test_a_case_opened_for_an_alert_gets_its_evidence_and_severity(store: CaseStore):
    alert, _ = await receive(store)
    await receive(store, PARSED, RAW + b" ")
    async with store.transaction() as tx:
        case = await cases.open_case(tx, world.sop(), alert.title, alert=alert, by=SYSTEM, at=LATER)
        assert case.severity == "high"
    async with store.reading() as tx:
        assert (await find.alert(tx, alert.id)).case_id == case.id
        assert set(await tx.session.scalars(select(Evidence.case_id))) == {case.id}
        types = [event.type for event in await audit.tail(tx, 0, case, limit=1000)]
        assert types.count("evidence.linked") == 2
        assert types.count("alert.linked") == 1
    with pytest.raises(AlertHasCase, match="mail-gateway 47/11 already belongs to CASE-1"):
        async with store.transaction() as tx:
            await cases.open_case(tx, world.sop(), "Again", alert=alert, by=SYSTEM, at=LATER)


async def test_a_repeat_of_an_alert_that_has_a_case_lands_in_the_case(store: CaseStore):
    """What comes later about a matter that is worked on belongs to it, and to its timeline."""
    alert, _ = await receive(store)
    async with store.transaction() as tx:
        case = await cases.open_case(tx, world.sop(), alert.title, alert=alert, by=SYSTEM, at=NOW)
    await receive(store, PARSED, RAW + b"\n")
    async with store.reading() as tx:
        assert set(await tx.session.scalars(select(Evidence.case_id))) == {case.id}
        types = [event.type for event in await audit.tail(tx, 0, case, limit=1000)]
        assert types[-2:] == ["alert.repeated", "evidence.attached"]


async def test_two_cases_at_once_for_one_alert(store: CaseStore):
    alert, _ = await receive(store)

    async def open_one() -> int:
        async with store.transaction() as tx:
            return (await cases.open_case(tx, world.sop(), "One", alert=alert, by=SYSTEM, at=NOW)).number

    results = await asyncio.gather(open_one(), open_one(), return_exceptions=True)
    assert sum(isinstance(result, AlertHasCase) for result in results) == 1
    assert 1 in results


async def test_repeating_a_request_about_an_alert_gives_its_case_back(store: CaseStore):
    alert, _ = await receive(store)

    async def open_one() -> int:
        async with store.transaction() as tx:
            case = await cases.open_case(tx, world.sop(), "One", alert=alert, idempotency_key="k", by=SYSTEM, at=NOW)
            return case.number

    assert await asyncio.gather(open_one(), open_one()) == [1, 1]


async def test_evidence_is_attached_with_its_hash_and_its_own_type(store: CaseStore, blobs: Blobs):
    drill = await world.build(store)
    content = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "extract")
        kept = await evidence.attach(
            tx,
            drill.case,
            blobs,
            name="in\u202evoice\r\n.html",
            content=content,
            claimed_type="text/html; charset=utf-8",
            task=task,
            by=ENGINE,
            at=NOW,
        )
        assert (kept.name, kept.size, kept.media_type) == ("in voice .html", len(content), "image/png")
        assert (kept.sha256, kept.task_id) == (hashlib.sha256(content).hexdigest(), task.id)
        assert (kept.claimed_type, kept.added_by) == ("text/html; charset=utf-8", str(ENGINE))
    async with store.reading() as tx:
        (event,) = [e for e in await audit.tail(tx, 0, drill.case, limit=99) if e.type == "evidence.attached"]
        (body,) = await private.read(tx, [event.body])
        facts = body["facts"]
        assert facts == {"name_as_given": r"'in\u202evoice\r\n.html'", "type_differs_from_claim": True}


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "text/plain"),
        (b"plain words \xc3\xa9\n", "text/plain"),
        (b"x" * (64 * 1024 - 1) + "é".encode(), "text/plain"),
        (b"\x01\x02\x00\x01 no text", "application/octet-stream"),
        (b"caf\xe9 in latin-1, longer", "application/octet-stream"),
        (b"<html><script>alert(1)</script></html>", "text/html"),
        (b"%PDF-1.7\n", "application/pdf"),
    ],
    ids=range(7),
)
async def test_the_type_is_what_the_bytes_say(store: CaseStore, blobs: Blobs, content: bytes, media_type: str):
    async with store.transaction() as tx:
        kept = await evidence.attach(tx, None, blobs, name="x", content=content, by=SYSTEM, at=NOW)
        assert kept.media_type == media_type


def test_a_name_keeps_its_beginning_and_its_ending():
    assert evidence.kept_name("") == evidence.kept_name("\r\n\t") == "unnamed"
    long = evidence.kept_name("a" * 300 + ".exe")
    assert len(long) == 255
    assert long.startswith("aaa")
    assert long.endswith(".exe")


async def test_observables_are_kept_once(store: CaseStore):
    drill = await world.build(store)
    items = [("ip", "203.0.113.9"), ("IP", " 203.0.113.9"), ("domain", "a.example"), ("url", "http://a/" + "x" * 8000)]
    async with store.transaction() as tx:
        assert await observables.add(tx, drill.case, items, by=ENGINE, at=NOW) == 3
        assert await observables.add(tx, drill.case, items, by=ENGINE, at=LATER) == 0
        assert await observables.add(tx, drill.case, [], by=ENGINE, at=LATER) == 0
        assert await count(tx, Observable) == 3


@pytest.mark.parametrize("item", [("", "x"), ("ip", ""), ("ip", "\r\n"), ("t" * 41, "x"), ("ip", "x" * 8193)])
async def test_an_observable_without_type_or_value_is_refused(store: CaseStore, item: tuple[str, str]):
    drill = await world.build(store)
    with pytest.raises(TextRequired):
        async with store.transaction() as tx:
            await observables.add(tx, drill.case, [item], by=ENGINE, at=NOW)


async def test_every_wording_of_a_note_is_kept(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        note = await notes.add(
            tx, drill.case, " First.\r\nSecond. ", author=drill.ada, by=Actor.person(drill.ada), at=NOW
        )
        assert (note.body, note.author, note.revision) == ("First.\nSecond.", f"person:{drill.ada.id}", 1)
        await notes.revise(tx, note, "Better.", by=Actor.person(drill.bob), at=LATER)
        await notes.revise(tx, note, "Better. ", by=Actor.person(drill.bob), at=LATER)
        assert (note.body, note.revision, note.revised_at) == ("Better.", 2, LATER)
    async with store.reading() as tx:
        wordings = await tx.session.execute(select(NoteRevision.body, NoteRevision.by).order_by(NoteRevision.revision))
        assert [tuple(one) for one in wordings] == [
            ("First.\nSecond.", f"person:{drill.ada.id}"),
            ("Better.", f"person:{drill.bob.id}"),
        ]


@pytest.mark.parametrize("body", ["", " \n\t", "x" * 50_001])
async def test_a_note_says_something_and_is_not_a_book(store: CaseStore, body: str):
    drill = await world.build(store)
    with pytest.raises(TextRequired):
        async with store.transaction() as tx:
            await notes.add(tx, drill.case, body, author=ENGINE, by=ENGINE, at=NOW)


async def test_what_no_database_can_keep_becomes_a_visible_mark(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        note = await notes.add(tx, drill.case, "a\0b\ud800", author=ENGINE, by=ENGINE, at=NOW)
        await observables.add(tx, drill.case, [("user", "x\0y")], by=ENGINE, at=NOW)
    async with store.reading() as tx:
        assert note.body == "a\ufffdb\ufffd"
        assert (await tx.session.scalars(select(Observable.value))).all() == ["x\ufffdy"]
