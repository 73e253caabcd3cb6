"""What decides cases and is not audited row by row is compared with the events, too."""

from datetime import timedelta

import pytest

from case_store import cases, codes, evidence, find, notes, outbox, privacy, replies, sops, tasks
from case_store.audit import beside, files
from case_store.blobs import Blobs
from case_store.errors import StoreDamaged
from case_store.outbox import breaker
from case_store.sinks import address
from case_store.sinks import state as sinks
from case_store.store import CaseStore
from tests.store import world
from tests.store.conftest import Sql
from tests.store.world import ENGINE, NOW, World

SINK = address.parse("file:///dev/null?name=siem", "events")
AT_FAULT = outbox.Result("permanent", error="535 wrong password", channel_fault=True)


async def differences(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        found = [str(one) async for one in beside.differences(tx)]
    return found + [str(one) async for one in files.differences(store, Blobs(store.blobs))]


async def lived(store: CaseStore) -> World:
    """A case with two wordings of a note, evidence, messages of several states, a code, a reply; a sink, a channel."""
    drill = await world.build(store)
    async with store.transaction() as tx:
        note = await notes.add(tx, drill.case, "first words", author=ENGINE, by=ENGINE, at=NOW)
        await notes.revise(tx, note, "other words", by=ENGINE, at=NOW + timedelta(seconds=1))
        await evidence.attach(tx, drill.case, Blobs(store.blobs), name="a", content=b"bytes", by=ENGINE, at=NOW)
        for key in ("report", "look-around"):
            await tasks.ask(tx, await world.task(tx, drill, key), parameters=None, due_at=None, by=ENGINE, at=NOW)
        await codes.send(tx, await world.task(tx, drill, "report"), drill.ada, away_from=None, by=ENGINE, at=NOW)
        await sinks.register(tx, [SINK], by=ENGINE, at=NOW)
    async with store.transaction() as tx:
        first, second, _ = await outbox.claim(tx, NOW, timedelta(minutes=1), 3, "token")
        await outbox.settle(tx, first, outbox.Result("ok", "<1>"), by=ENGINE, at=NOW)
        await breaker.failed(tx, second, AT_FAULT, outbox.Policy(), by=ENGINE, at=NOW)
        await codes.check(tx, await world.task(tx, drill, "report"), drill.ada, "0", away_from=None, by=ENGINE, at=NOW)
        sender = replies.Sender(drill.bob, "sms", "SM1")
        await replies.take(tx, sender, replies.read("hello"), by=ENGINE, at=NOW)
    return drill


async def without_guards(sql: Sql, store: CaseStore, statement: str) -> None:
    """Change something as the owner of the file can."""
    if store.url.drivername.startswith("sqlite"):
        for (name,) in await sql("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            await sql(f"DROP TRIGGER {name}")
    else:
        for (table,) in await sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            await sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    await sql(statement)


async def test_what_verbs_did_is_what_the_events_say(store: CaseStore):
    drill = await lived(store)
    assert await differences(store) == []
    async with store.transaction() as tx:
        await tasks.reassign(tx, await world.task(tx, drill, "report"), drill.eve, by=ENGINE, at=NOW)
        await outbox.cancel_needless(tx, by=ENGINE, at=NOW + timedelta(days=1))
        await outbox.expire(tx, by=ENGINE, at=NOW + timedelta(days=30))
        await breaker.worked(tx, "email", by=ENGINE, at=NOW)
        await sinks.register(tx, [], by=ENGINE, at=NOW)
    assert await differences(store) == []


async def test_what_was_erased_is_no_difference(store: CaseStore):
    drill = await lived(store)
    async with store.transaction() as tx:
        case = await find.case(tx, drill.case.id)
        await cases.cancel(tx, case, "a mistake", by=ENGINE, at=NOW)
        done = await privacy.erase_case(tx, case, basis="asked", by=ENGINE, at=NOW)
    for digest in done.files:
        await Blobs(store.blobs).forget(digest)
    assert done.files
    assert await differences(store) == []


TAMPERING = {
    "UPDATE sops SET text = 'sop: evil'": "the SHA-256 of its text is",
    "UPDATE sops SET version = 7": "version is 7, and by its events 3",
    "DELETE FROM sops": "it is not in its table, and by its events CASE-1 is bound to it",
    "UPDATE note_revisions SET body = 'not these' WHERE revision = 1": (
        'body is "not these", and by its events "first words"'
    ),
    "UPDATE note_revisions SET \"by\" = 'person:x' WHERE revision = 2": 'by is "person:x"',
    "DELETE FROM note_revisions WHERE revision = 1": "1: it is not in its table, and by its events it exists",
    'INSERT INTO note_revisions SELECT note_id, 3, body, at, "by" FROM note_revisions WHERE revision = 2': (
        "3: it is in its table, and by its events it does not exist"
    ),
    "UPDATE outbox SET state = 'pending' WHERE state = 'sent'": 'state is "pending", and by its events "sent"',
    "UPDATE outbox SET state = 'cancelled' WHERE state = 'leased'": 'state is "cancelled", and by its events "pending"',
    "UPDATE outbox SET channel = 'sms' WHERE state = 'sent'": 'channel is "sms", and by its events "email"',
    "DELETE FROM outbox WHERE state = 'sent'": "it is not in its table, and by its events it exists",
    "UPDATE sign_off_codes SET wrong = 0": "wrong is 0, and by its events 1",
    "UPDATE sign_off_codes SET verified_at = sent_at": "verified_at is ",
    "UPDATE sign_off_codes SET used_at = sent_at": "used is true, and by its events false",
    "DELETE FROM sign_off_codes": "it is not in its table, and by its events it exists",
    "UPDATE audit_sinks SET fingerprint = 'x'": 'fingerprint is "x"',
    "UPDATE audit_sinks SET removed_at = '2026-01-01'": "removed is true, and by its events false",
    "DELETE FROM audit_sinks": "sink events/siem: it is not in its table",
    "UPDATE outbox_breakers SET open_until = NULL": "left alone is false, and by its events true",
    "DELETE FROM replies": "it is not in its table, and by its events it was taken",
}


@pytest.mark.parametrize("statement", TAMPERING)
async def test_what_the_owner_of_the_database_changes_is_named(store: CaseStore, sql: Sql, statement: str):
    await lived(store)
    await without_guards(sql, store, statement)
    found = await differences(store)
    assert any(TAMPERING[statement] in one for one in found), found


@pytest.mark.parametrize(("spoil", "said"), [("unlink", "its file is missing"), ("write", "its file is another one")])
async def test_a_file_of_evidence_that_is_gone_or_another_is_named(store: CaseStore, spoil: str, said: str):
    await lived(store)
    (file,) = (one for one in store.blobs.rglob("*") if one.is_file())
    file.unlink()
    if spoil == "write":
        file.write_bytes(b"bytex")
    (found,) = await differences(store)
    assert said in found


async def test_a_case_does_not_go_on_by_words_that_are_not_those_of_its_sop(
    store: CaseStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
):
    drill = await lived(store)
    monkeypatch.setattr(sops, "_READ", {})  # as a process that has just started
    await without_guards(sql, store, "UPDATE sops SET text = replace(text, 'mandatory: true', 'mandatory: false')")
    async with store.reading() as tx:
        with pytest.raises(StoreDamaged, match="is not what its digest says") as refused:
            await sops.pinned(tx, drill.case)
    assert "audit verify --state" in refused.value.diagnostics()
