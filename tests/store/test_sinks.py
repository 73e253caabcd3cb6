"""How far each sink is: what people change of it is on record, and the cursor moves only past what was delivered."""

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from case_store.audit import sequencer
from case_store.audit.checkpoints import Signer, opened
from case_store.errors import StoreError
from case_store.models import AuditEvent, AuditSink, OutboxEntry
from case_store.sinks import content, mail, state
from case_store.sinks.address import Address, parse
from case_store.sinks.contract import SinkDown
from case_store.sinks.listing import SinkRow, listing
from case_store.store import CaseStore
from tests.store.conftest import Sql
from tests.store.making import BY, LATER, NOW, add_person

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
FILE = parse("file:///var/log/x.jsonl", "events")
POINTS = parse("file:///var/log/x.jsonl", "checkpoints")
MAIL = parse("mailto:Ann@example.org", "checkpoints")


async def note(store: CaseStore, count: int = 1) -> None:
    async with store.transaction() as tx:
        for _ in range(count):
            tx.record("test.noted", None, by=BY, at=NOW)


async def sealed(store: CaseStore, count: int = 0) -> int:
    await note(store, count)
    done = await sequencer.seal(store, SIGNER, NOW)
    return done.size if done else 0


async def register(store: CaseStore, *addresses: Address) -> None:
    async with store.transaction() as tx:
        await state.register(tx, addresses, by=BY, at=NOW)


async def events(store: CaseStore) -> list[tuple[str, dict]]:
    async with store.reading() as tx:
        rows = await tx.session.scalars(
            select(AuditEvent.body).where(AuditEvent.type.startswith("audit.sink_")).order_by(AuditEvent.id)
        )
        bodies = [json.loads(row) for row in rows]
    assert all(body["stream"] == "system" for body in bodies)
    return [(body["type"].removeprefix("audit.sink_"), body["facts"]) for body in bodies]


async def claimed(store: CaseStore, token: str, at=NOW, name: str = FILE.name) -> state.Claim | None:
    async with store.transaction() as tx:
        return await state.claim(tx, name, token, at)


async def settled(store: CaseStore, claim: state.Claim | None, cursor: int) -> bool:
    assert claim is not None
    async with store.transaction() as tx:
        return await state.settle(tx, claim, cursor=cursor, at=LATER)


async def cursor(store: CaseStore, name: str = FILE.name) -> int:
    async with store.reading() as tx:
        return (await tx.session.get_one(AuditSink, name)).cursor


async def listed(store: CaseStore, *addresses: Address, at=LATER) -> list[SinkRow]:
    async with store.reading() as tx:
        return await listing(tx, addresses, at)


class TestRegistering:
    async def test_puts_on_record_what_was_added_changed_and_removed_once(self, store: CaseStore):
        moved = parse("file:///elsewhere/x.jsonl", "events")
        for addresses in ([FILE], [FILE], [moved], [moved], [], [], [FILE]):
            await register(store, *addresses)
        found = await events(store)
        assert [event for event, _ in found] == ["added", "changed", "removed", "added"]
        assert found[1][1]["url"] == "file:///elsewhere/x.jsonl"

    async def test_keeps_the_cursor_of_a_sink_that_was_away(self, store: CaseStore):
        await register(store, FILE)
        await settled(store, await claimed(store, "a"), 7)
        await register(store)
        assert await claimed(store, "b") is None
        await register(store, FILE)
        assert await cursor(store) == 7

    async def test_begins_at_the_beginning_or_now(self, store: CaseStore):
        size = await sealed(store, 3)
        late = parse("file:///late.jsonl?from=now", "events")
        await register(store, FILE, late)
        assert (await cursor(store), await cursor(store, late.name)) == (0, size)

    async def test_tells_no_mail_address_to_the_record(self, store: CaseStore, sql: Sql):
        await register(store, MAIL)
        (row,) = await sql("SELECT body FROM audit_events")
        assert "example.org" not in str(row[0])


class TestClaiming:
    async def test_gives_a_sink_to_one_at_a_time(self, store: CaseStore):
        await register(store, FILE)
        first = await claimed(store, "a")
        assert await claimed(store, "b") is None
        assert await settled(store, first, 3)
        again = await claimed(store, "b")
        assert again is not None
        assert again.cursor == 3

    async def test_counts_the_lease_of_somebody_who_was_served_while_we_waited(self, store: CaseStore):
        await register(store, FILE)
        assert await claimed(store, "first", NOW + timedelta(seconds=1)) is not None
        assert await claimed(store, "asked before, served after", NOW) is None

    async def test_takes_over_when_the_lease_has_run_out_and_the_late_one_moves_nothing(self, store: CaseStore):
        await register(store, FILE)
        late = await claimed(store, "late")
        other = await claimed(store, "other", NOW + state.LEASE)
        assert other is not None
        assert not await settled(store, late, 9)
        assert await settled(store, other, 2)
        assert await cursor(store) == 2

    async def test_is_not_held_up_by_a_clock_that_was_set_back(self, store: CaseStore):
        await register(store, FILE)
        await claimed(store, "from the future", NOW + timedelta(days=1))
        assert await claimed(store, "now") is not None


class TestRewinding:
    async def test_delivers_again_and_a_delivery_on_its_way_does_not_undo_it(self, store: CaseStore):
        await register(store, FILE)
        await settled(store, await claimed(store, "a"), 10)
        on_its_way = await claimed(store, "b")
        async with store.transaction() as tx:
            assert await state.rewind(tx, FILE.name, 4, by=BY, at=NOW) == 6
        assert not await settled(store, on_its_way, 12)
        assert await cursor(store) == 4
        assert (await events(store))[-1] == ("rewound", {"sink": FILE.name, "from": 10, "to": 4})

    @pytest.mark.parametrize(("name", "to"), [(FILE.name, 10), (FILE.name, 11), (FILE.name, -1), (POINTS.name, 1)])
    async def test_never_goes_forward_where_events_would_be_left_out(self, store: CaseStore, name: str, to: int):
        await register(store, FILE, POINTS)
        await settled(store, await claimed(store, "a"), 10)
        with pytest.raises(StoreError, match=r"set back|no sink"):
            await self._rewind(store, name, to)
        assert await cursor(store) == 10

    async def _rewind(self, store: CaseStore, name: str, to: int) -> None:
        async with store.transaction() as tx:
            await state.rewind(tx, name, to, by=BY, at=NOW)


class TestContent:
    async def test_is_what_is_sealed_in_the_order_of_the_tree(self, store: CaseStore, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(content, "BATCH", 4)
        await sealed(store, 6)
        await note(store, 3)
        async with store.reading() as tx:
            first = await content.next_for(tx, FILE, 0)
            second = await content.next_for(tx, FILE, first.cursor)
            third = await content.next_for(tx, FILE, second.cursor)
        assert [one.cursor for one in (first, second, third)] == [4, 6, 6]
        found = [*first.lines, *second.lines, *third.lines]
        assert [one.facts["idx"] for one in found] == [str(n) for n in range(6)]
        assert [json.loads(one.text)["seq"] for one in found] == [1, 2, 3, 4, 5, 6]

    async def test_is_never_more_than_fits_into_memory(self, store: CaseStore, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(content, "BATCH_BYTES", 1)
        await sealed(store, 3)
        async with store.reading() as tx:
            assert len((await content.next_for(tx, FILE, 1)).lines) == 1

    async def test_of_checkpoints_is_the_newest_alone(self, store: CaseStore):
        for _ in range(3):
            size = await sealed(store, 2)
        async with store.reading() as tx:
            found = await content.next_for(tx, POINTS, 0)
            assert not (await content.next_for(tx, POINTS, found.cursor)).lines
        (line,) = found.lines
        told = json.loads(line.text)
        assert told["size"] == found.size == size
        assert opened(told["note"], SIGNER.verifier()).split("\n")[1] == str(size)


class TestMail:
    async def test_goes_once_a_day(self, store: CaseStore):
        async with store.transaction() as tx:
            add_person(tx, email="ann@Example.org")
        await sealed(store)
        await register(store, MAIL)
        for at in (NOW, LATER, NOW + timedelta(days=1), NOW):
            async with store.transaction() as tx:
                due = await mail.is_due(tx, MAIL, at)
                assert (await mail.promise(tx, MAIL, at) is not None) == due
        async with store.reading() as tx:
            entries = (await tx.session.scalars(select(OutboxEntry).order_by(OutboxEntry.id))).all()
        assert [entry.dedup_key[-10:] for entry in entries] == ["2026-03-02", "2026-03-03"]
        assert opened(entries[0].context["checkpoint"]["note"], SIGNER.verifier())

    async def test_needs_a_person_and_a_signature(self, store: CaseStore):
        async with store.transaction() as tx:
            assert not await mail.is_due(tx, MAIL, NOW)
            with pytest.raises(SinkDown, match="nobody on record"):
                await mail.promise(tx, MAIL, NOW)
            add_person(tx, email="ann@example.org")
            await tx.flush()
            with pytest.raises(SinkDown, match="nothing is signed"):
                await mail.promise(tx, MAIL, NOW)

    async def test_that_was_given_up_is_shown_with_what_to_do(self, store: CaseStore):
        async with store.transaction() as tx:
            add_person(tx, email="ann@example.org")
        await sealed(store)
        await register(store, MAIL)
        async with store.transaction() as tx:
            await mail.promise(tx, MAIL, NOW)
            entry = (await tx.session.scalars(select(OutboxEntry))).one()
            entry.state, entry.last_error = "dead", "550 no such mailbox"
            tx.record("notification.failed", None, by=BY, at=NOW, facts={"outbox_id": entry.id})
        (row,) = await listed(store, MAIL)
        assert row.error == "550 no such mailbox"
        assert "SMTP" in row.next_step


class TestListing:
    async def test_tells_what_waits_and_for_how_long(self, store: CaseStore):
        size = await sealed(store, 5)
        await register(store, FILE, POINTS)
        await settled(store, await claimed(store, "a"), 3)
        events_row, points_row = await listed(store, FILE, POINTS)
        assert (events_row.cursor, events_row.behind, events_row.waiting) == (3, size - 3, LATER - NOW)
        assert (points_row.cursor, points_row.behind, points_row.waiting) == (None, size, LATER - NOW)
        assert events_row.last_ok_at == LATER
        assert "relay" in events_row.next_step
        async with store.transaction() as tx:
            claim = await state.claim(tx, POINTS.name, "b", NOW)
            assert claim is not None
            await state.settle(tx, claim, cursor=9, size=size, at=NOW)
        await settled(store, await claimed(store, "b", LATER), size)
        rows = await listed(store, FILE, POINTS)
        assert [(row.behind, row.waiting, row.next_step) for row in rows] == [(0, None, ""), (0, None, "")]

    async def test_tells_what_went_wrong_since_when_until_it_goes_well(self, store: CaseStore):
        await register(store, FILE)
        for number, at in enumerate((NOW, LATER)):
            claim = await claimed(store, f"{number}", at)
            assert claim is not None
            async with store.transaction() as tx:
                await state.fail(tx, claim, f"down {number}", at)
        (row,) = await listed(store, FILE)
        assert (row.error, row.failing_since) == ("down 1", NOW)
        assert f"audit sinks test {FILE.name}" in row.next_step
        await settled(store, await claimed(store, "b"), 1)
        (row,) = await listed(store, FILE)
        assert (row.error, row.failing_since) == (None, None)

    async def test_tells_of_sinks_that_no_relay_has_seen_and_of_those_that_are_gone(self, store: CaseStore):
        await register(store, FILE)
        await register(store)
        new, gone = await listed(store, POINTS)
        assert "none has seen" in new.next_step
        assert (gone.name, gone.url) == (FILE.name, "")
        assert "CASEWRIGHT_FORWARD_TO" in gone.next_step
