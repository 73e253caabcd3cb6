"""The session refuses what would be on record without its audit event."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.schema import DropTable

from case_store.actor import Actor
from case_store.audit import private
from case_store.audit.guard import GuardedSession
from case_store.audit.merkle import leaf_hash
from case_store.errors import (
    AppendOnly,
    AuditedRowDeleted,
    BeforeUnknown,
    BulkChangeRefused,
    NotCanonical,
    ReadOnly,
    TwoEventsForOneChange,
    UnattributedChange,
    UnauditedChange,
    UntimedChange,
)
from case_store.models import (
    AuditEvent,
    Base,
    Case,
    Counter,
    NoteRevision,
    OutboxEntry,
    Person,
    SopDocument,
    Task,
)
from case_store.store import CaseStore, Tx
from tests.store.making import BY, LATER, NOW, add_case, add_person, in_transaction


def canonical_text(body: dict) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def events(store: CaseStore) -> list[dict]:
    async with store.reading() as tx:
        return [json.loads(body) for body in await tx.session.scalars(select(AuditEvent.body).order_by(AuditEvent.id))]


async def the_task(tx: Tx) -> Task:
    return (await tx.session.scalars(select(Task))).one()


@pytest.fixture
async def with_case(store: CaseStore) -> CaseStore:
    async with store.transaction() as tx:
        await add_case(tx)
    return store


class TestAnAuditedChange:
    async def test_has_its_event_with_before_and_after(self, with_case: CaseStore):
        async with with_case.transaction("request-7") as tx:
            task = await the_task(tx)
            task.state = "open"
            task.due_at = LATER
            tx.record("test.asked", task, by=Actor.run("f-1"), at=LATER, facts={"why": "its turn"})
        *_, before, event = await events(with_case)
        assert event == {
            "actor": {"id": "f-1", "kind": "run"},
            "changes": {"state": ["waiting", "open"], "due_at": [None, "2026-03-02T09:35:00.123456Z"]},
            "entity": {"id": task.id, "type": "task", "version": 2},
            "event_id": event["event_id"],
            "facts": {"why": "its turn"},
            "prev": leaf_hash(
                json.dumps(before, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            ).hex(),
            "request_id": "request-7",
            "schema_v": 3,
            "seq": before["seq"] + 1,
            "stream": f"case/{task.case_id}",
            "ts": "2026-03-02T09:35:00.123456Z",
            "type": "test.asked",
        }
        assert task.version == 2

    async def test_new_rows_tell_their_defaults_and_come_in_any_order(self, store: CaseStore):
        async with store.transaction() as tx:
            case, _stage, task = await add_case(tx)
        found = await events(store)
        assert [event["type"] for event in found] == ["case.opened", "stage.planned", "task.planned"]
        assert found[2]["changes"]["state"] == [None, "waiting"]
        assert found[2]["changes"]["attempt"] == [None, 1]
        assert "due_at" not in found[2]["changes"]
        assert {event["stream"] for event in found} == {f"case/{case.id}"}
        assert task.version == 1

    async def test_columns_are_copies_of_the_body(self, with_case: CaseStore):
        async with with_case.reading() as tx:
            for row in await tx.session.scalars(select(AuditEvent)):
                body = json.loads(row.body)
                assert (row.event_id, row.stream, row.type, row.request_id, row.schema_v) == tuple(
                    body[name] for name in ("event_id", "stream", "type", "request_id", "schema_v")
                )
                assert (row.entity_type, row.entity_id, row.entity_version) == tuple(
                    body["entity"][name] for name in ("type", "id", "version")
                )
                assert (row.actor_kind, row.actor_id) == (body["actor"]["kind"], body["actor"]["id"])
                assert row.ts == datetime.fromisoformat(body["ts"])

    async def test_may_be_declared_before_it_is_made(self, with_case: CaseStore):
        async with with_case.transaction() as tx:
            task = await the_task(tx)
            tx.record("test.asked", task, by=BY, at=LATER)
            task.state = "open"
        assert (await events(with_case))[-1]["changes"] == {"state": ["waiting", "open"]}

    async def test_an_event_of_facts_only_makes_no_version(self, with_case: CaseStore):
        async with with_case.transaction() as tx:
            task = await the_task(tx)
            tx.record("test.looked_at", task, by=BY, at=LATER)
            tx.record("test.started", None, by=BY, at=LATER, facts={"cases": 3})
            await tx.flush()
            tx.record("test.looked_at", task, by=BY, at=LATER)
        first, second, third = (await events(with_case))[-3:]
        assert (first["entity"], first["changes"]) == ({"id": task.id, "type": "task", "version": None}, {})
        assert (second["entity"], second["stream"]) == (None, "system")
        assert third["type"] == "test.looked_at"
        assert task.version == 1

    async def test_may_be_declared_after_a_query_in_between(self, with_case: CaseStore):
        """A query in the middle of a verb writes nothing: the verb is not done yet."""
        async with with_case.transaction() as tx:
            task = await the_task(tx)
            task.state = "open"
            assert (await tx.session.scalars(select(Case.number))).all() == [1]
            tx.record("test.asked", task, by=BY, at=LATER)
        assert (await events(with_case))[-1]["changes"] == {"state": ["waiting", "open"]}

    async def test_setting_a_value_to_itself_is_no_change(self, with_case: CaseStore):
        async with with_case.transaction() as tx:
            task = await the_task(tx)
            task.state = "waiting"
        assert len(await events(with_case)) == 3

    async def test_times_come_back_in_utc(self, with_case: CaseStore):
        moscow = timezone(timedelta(hours=3))
        async with with_case.transaction() as tx:
            task = await the_task(tx)
            task.due_at = LATER.astimezone(moscow)
            tx.record("test.asked", task, by=BY, at=LATER.astimezone(moscow))
        async with with_case.reading() as tx:
            due = (await the_task(tx)).due_at
        assert due == LATER
        assert due is not None
        assert due.tzinfo is UTC
        assert (await events(with_case))[-1]["changes"] == {"due_at": [None, "2026-03-02T09:35:00.123456Z"]}

    async def test_hostile_text_is_kept_and_the_row_says_what_the_event_says(self, store: CaseStore):
        async with store.transaction() as tx:
            person = add_person(tx, name="A\x00nn \ud83d", working_hours={"note\udc00": "\udfff"})
        async with store.reading() as tx:
            (event,) = await private.read(tx, (await tx.session.scalars(select(AuditEvent.body))).all())
            assert event["changes"]["name"] == [None, "A\ufffdnn \ufffd"]
            kept = (await tx.session.scalars(select(Person))).one()
        assert (kept.name, kept.working_hours) == ("A\ufffdnn \ufffd", {"note\ufffd": "\ufffd"})
        assert person.name == kept.name


class TestRefused:
    async def test_a_change_without_event(self, with_case: CaseStore):
        with pytest.raises(UnauditedChange, match=r"Task\("):
            async with with_case.transaction() as tx:
                (await the_task(tx)).state = "open"
        async with with_case.reading() as tx:
            assert (await the_task(tx)).state == "waiting"

    async def test_a_new_row_without_event(self, store: CaseStore):
        with pytest.raises(UnauditedChange, match=r"Person\("):
            async with store.transaction() as tx:
                tx.session.add(Person(handle="ann", name="Ann"))

    async def test_one_of_two_changes_without_event(self, with_case: CaseStore):
        async def work(tx: Tx) -> None:
            task = await the_task(tx)
            task.state = "open"
            tx.record("test.asked", task, by=BY, at=LATER)
            (await tx.session.get_one(Case, task.case_id)).title = "Other"

        with pytest.raises(UnauditedChange, match=r"Case\("):
            await in_transaction(with_case, work)
        assert len(await events(with_case)) == 3

    async def test_a_deleted_row(self, with_case: CaseStore):
        async def work(tx: Tx) -> None:
            task = await the_task(tx)
            tx.record("test.deleted", task, by=BY, at=LATER)
            await tx.session.delete(task)

        with pytest.raises(AuditedRowDeleted):
            await in_transaction(with_case, work)

    @pytest.mark.parametrize("by", [None, "ann", ""])
    async def test_an_event_by_nobody(self, with_case: CaseStore, by):
        async with with_case.transaction() as tx:
            with pytest.raises(UnattributedChange):
                tx.record("test.said", None, by=by, at=LATER)

    def test_an_actor_without_id(self):
        with pytest.raises(UnattributedChange):
            Actor.person("")

    @pytest.mark.parametrize("at", [None, datetime(2026, 3, 2), "2026-03-02"])  # noqa: DTZ001
    async def test_an_event_at_no_time(self, with_case: CaseStore, at):
        async with with_case.transaction() as tx:
            with pytest.raises(UntimedChange):
                tx.record("test.said", None, by=BY, at=at)

    async def test_a_column_with_a_naive_time(self, with_case: CaseStore):
        async def work(tx: Tx) -> None:
            task = await the_task(tx)
            task.due_at = datetime(2026, 3, 2)  # noqa: DTZ001
            tx.record("test.asked", task, by=BY, at=LATER)

        with pytest.raises(NotCanonical):
            await in_transaction(with_case, work)

    async def test_bookkeeping_with_a_naive_time(self, store: CaseStore):
        async def work(tx: Tx) -> None:
            person = add_person(tx)
            naive = datetime(2026, 3, 2)  # noqa: DTZ001
            tx.session.add(
                OutboxEntry(dedup_key="k", channel="email", recipient_id=person.id, template="t", next_at=naive)
            )

        with pytest.raises(UntimedChange, match="no time zone"):
            await in_transaction(store, work)

    async def test_two_events_for_one_change(self, with_case: CaseStore):
        async with with_case.transaction() as tx:
            task = await the_task(tx)
            task.state = "open"
            tx.record("test.asked", task, by=BY, at=LATER)
            with pytest.raises(TwoEventsForOneChange):
                tx.record("task.completed", task, by=BY, at=LATER)
            await tx.flush()
            task.state = "done"
            tx.record("task.completed", task, by=BY, at=LATER)
        assert [event["entity"]["version"] for event in (await events(with_case))[-2:]] == [2, 3]

    async def test_a_before_that_nobody_knows(self, with_case: CaseStore):
        async def work(tx: Tx) -> None:
            task = await the_task(tx)
            tx.session.expire(task, ["reason"])
            task.reason = "because"
            tx.record("task.skipped", task, by=BY, at=LATER)

        with pytest.raises(BeforeUnknown):
            await in_transaction(with_case, work)

    @pytest.mark.parametrize("fact", [b"bytes", float("nan"), object(), {1: "number as key"}, {"deep": [{"er": {2}}]}])
    async def test_a_fact_without_canonical_form(self, store: CaseStore, fact):
        with pytest.raises(NotCanonical):
            async with store.transaction() as tx:
                tx.record("test.started", None, by=BY, at=LATER, facts={"what": fact})

    async def test_everything_in_a_reading_transaction(self, with_case: CaseStore):
        async with with_case.reading() as tx:
            task = await the_task(tx)
            with pytest.raises(ReadOnly):
                tx.record("test.asked", task, by=BY, at=LATER)
            with pytest.raises(ReadOnly):
                await tx.session.execute(update(Counter).values(value=1))
            task.state = "open"
            with pytest.raises(ReadOnly):
                await tx.flush()

    async def test_a_session_that_the_store_did_not_open(self, with_case: CaseStore):
        session = AsyncSession(with_case._engines.writing, sync_session_class=GuardedSession)
        async with session:
            session.add(Person(handle="ann", name="Ann"))
            with pytest.raises(UnauditedChange):
                await session.flush()


A_PERSON = {"id": "1", "version": 1, "handle": "x", "name": "x", "roles": [], "active": True}
AROUND = {
    "orm update": update(Task).values(state="done"),
    "core update": update(Task.__table__).values(state="done"),
    "orm delete": delete(Task),
    "core delete": delete(Task.__table__),
    "orm insert": insert(Person).values(A_PERSON),
    "core insert": insert(Person.__table__).values(A_PERSON),
    "upsert": upsert(Person).values(A_PERSON).on_conflict_do_nothing(),
    "update of the trail": update(AuditEvent).values(actor_id="somebody else"),
    "delete from the trail": delete(AuditEvent),
    "insert into the trail": insert(AuditEvent).values(event_id="1", body="{}"),
    "update of a written-once row": update(SopDocument).values(text="x"),
    "delete of a written-once row": delete(NoteRevision),
    "text": text("UPDATE tasks SET state = 'done'"),
    "text in other letters": text("update Tasks set state = 'done'"),
    "text with a CTE": text("WITH t AS (SELECT 1) DELETE FROM audit_events"),
    "text with REPLACE": text("REPLACE INTO cases (id) VALUES (1)"),
    "text with TRUNCATE": text("TRUNCATE audit_events"),
    "text with DDL": text("DROP TABLE audit_events"),
    "quoted name": text("UPDATE \"people\" SET name = 'x'"),
    "text with columns": text("UPDATE tasks SET state = 'done' RETURNING id").columns(Task.id),
    "text as rows": select(Task).from_statement(text("UPDATE tasks SET state = 'done' RETURNING *")),
    "ddl": DropTable(Task.__table__),
}


class TestAroundTheUnitOfWork:
    @pytest.mark.parametrize("way", AROUND)
    async def test_bulk_and_text_changes_are_refused(self, sqlite_store: CaseStore, way: str):
        """On one database only: the session refuses before any SQL is made."""
        async with sqlite_store.transaction() as tx:
            with pytest.raises(BulkChangeRefused):
                await tx.session.execute(AROUND[way])

    @pytest.mark.parametrize("method", ["bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings"])
    async def test_legacy_bulk_methods_are_refused(self, store: CaseStore, method: str):
        async with store.transaction() as tx:
            with pytest.raises(BulkChangeRefused):
                await tx.session.run_sync(lambda session: getattr(session, method)(Person, []))

    async def test_an_audit_event_is_not_written_by_hand(self, store: CaseStore):
        with pytest.raises(AppendOnly):
            async with store.transaction() as tx:
                tx.session.add(AuditEvent(event_id="1", body="{}"))

    async def test_a_written_once_row_is_not_changed(self, with_case: CaseStore):
        with pytest.raises(AppendOnly):
            async with with_case.transaction() as tx:
                (await tx.session.scalars(select(SopDocument))).one().text = "other"

    async def test_bookkeeping_is_free(self, store: CaseStore):
        async with store.transaction() as tx:
            tx.session.add(Counter(name="case", value=1))
            await tx.flush()
            await tx.session.execute(update(Counter).values(value=Counter.value + 1))
            await tx.session.execute(text("UPDATE counters SET value = value + 1"))
        async with store.reading() as tx:
            assert await tx.session.scalar(select(Counter.value)) == 3

    async def test_an_event_about_bookkeeping_names_it(self, store: CaseStore):
        async with store.transaction() as tx:
            person = add_person(tx)
            entry = OutboxEntry(
                dedup_key="k", channel="email", recipient_id=person.id, template="assigned", next_at=LATER
            )
            tx.session.add(entry)
            tx.record("test.changed", entry, by=BY, at=NOW)
        event = (await events(store))[-1]
        assert event["entity"] == {"id": entry.id, "type": "outbox", "version": None}

    def test_every_table_is_either_guarded_or_named_as_bookkeeping(self):
        from case_store.audit.guard import AUDITED_TABLES, WRITTEN_ONCE_TABLES

        assert set(Base.metadata.tables) - AUDITED_TABLES - WRITTEN_ONCE_TABLES == {
            "counters",
            "case_runs",
            "questions",
            "reply_mailboxes",
            "sign_off_codes",
            "outbox",
            "outbox_breakers",
            "idempotency_keys",
            "audit_streams",
            "audit_pending",
            "audit_tree",
            "audit_sinks",
            "audit_private",
        }
