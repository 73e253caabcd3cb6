"""The relay goes on, whatever goes wrong in one of its parts, and begins without Prefect."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.events import Event
from sqlalchemy import func, select

from case_store import cases, find, migrate, models, notices, tasks
from case_store.actor import Actor
from case_store.audit import keys, sequencer
from case_store.blobs import Blobs
from case_store.errors import ConstraintBroken, StoreBusy, StoreUnavailable
from case_store.models import AuditEvent, AuditPending, OutboxEntry
from case_store.settings import Settings
from case_store.store import CaseStore
from flows import escalation, keep_going, run_events, sweep
from flows.prefect_client import Prefect
from flows.relay import channels, deliver, escalate, forward, post, stamp, witnesses
from flows.relay.follow import Follower
from flows.relay.lane import Lane
from flows.relay.service import Relay
from flows.resources import Resources
from sop.loader import loads
from tests.faults.test_lateness import late, told
from tests.site import Site, desk_at, until
from tests.store import world

BY = Actor.system("test")
LOOPS: dict[str, tuple[object, str]] = {
    "Overdue tasks": (post, "mark_overdue"),
    "The outbox": (post, "look_after"),
    "Messages by no channel": (post, "give_up"),
    "Messages by email": (Lane, "send_due"),
    "Messages by channels that are set up in Prefect": (channels, "_stored"),
    "What is late": (escalation, "anything_due"),
    "New audit events wait to be sealed": (sequencer, "seal"),
    "The sinks": (forward.state, "register"),
    "Sink": (forward.Delivery, "step"),
    "Time stamps": (stamp, "stamp"),
    "The witness": (witnesses, "ask"),
    "Signals to Prefect": (deliver, "deliver_due"),
    "The sweep": (sweep, "sweep_once"),
    "Catching up with Prefect": (Follower, "catch_up"),
    "States of runs": (Follower, "_record"),
    "Events from Prefect": (run_events, "get_events_subscriber"),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_going, "_SOON", 0.02)


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Resources]:
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield Resources(settings, store, Blobs(settings.blobs), {})
    await store.close()


def failing_first(calls: Counter[str], name: str, does: Callable[..., object]) -> Callable[..., object]:
    """What raises an error that nobody has thought of when it is called first, and then does nothing much."""

    async def step(*given: object, **named: object) -> object:
        calls[name] += 1
        if calls[name] == 1:
            raise ZeroDivisionError(f"a mistake in {name}")
        await asyncio.sleep(0.01)
        return does()

    return step


async def test_a_mistake_in_any_loop_is_said_and_ends_neither_it_nor_another(
    own: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: Counter[str] = Counter()
    results: dict[str, Callable[..., object]] = {"Messages by channels that are set up in Prefect": list}
    for name, (where, what) in LOOPS.items():
        monkeypatch.setattr(where, what, failing_first(calls, name, results.get(name, lambda: None)))
    monkeypatch.setattr(run_events, "get_events_subscriber", _Stream(calls))
    for module, name, pause in (
        (post, "_LOOK_EVERY", 0.02),
        (escalate, "_LOOK_EVERY", 0.02),
        (stamp, "_LOOK_EVERY", 0.02),
        (sweep, "EVERY_SECONDS", 0.02),
    ):
        monkeypatch.setattr(module, name, pause)
    settings = Settings(
        home=tmp_path,
        mail_folder=tmp_path / "mail",
        forward_to=(f"file://{tmp_path}/events.jsonl",),
        timestamp_url="http://127.0.0.1:9/",
        witnesses=(f"http://127.0.0.1:9 {keys.load_or_create(tmp_path / 'witness').verifier().as_witness()}",),
    )
    async with PrefectClient("http://127.0.0.1:9/api") as nowhere:
        relay = Relay(Resources(settings, own.store, own.blobs, {}), Prefect(nowhere))
        running = asyncio.create_task(relay.run())

        async def all_again() -> bool:
            if running.done():
                await running
            return all(calls[name] > 1 for name in LOOPS)

        try:
            await until(all_again, within=60)
        except AssertionError:
            pytest.fail(f"these did not go on: {[name for name in LOOPS if calls[name] < 2]}")
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        assert running.cancelled(), "being stopped passes through"
    said = [one for one in caplog.records if one.levelno == logging.ERROR and one.exc_info]
    for name in LOOPS:
        mine = [one.getMessage() for one in said if f"a mistake in {name}" in one.getMessage()]
        assert len(mine) == 1, name
        assert mine[0].startswith(name)
        assert "next: " in mine[0]


class _Stream:
    """Prefect's events: fails once, then gives one event and waits."""

    def __init__(self, calls: Counter[str]) -> None:
        self._calls = calls

    def __call__(self, **_: object) -> "_Stream":
        self._calls["Events from Prefect"] += 1
        if self._calls["Events from Prefect"] == 1:
            raise ZeroDivisionError("a mistake in Events from Prefect")
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def __aiter__(self) -> "_Stream":
        return self

    async def __anext__(self) -> object:
        if self._calls["States of runs"] < 3:
            await asyncio.sleep(0.05)
            return Event(
                event="prefect.flow-run.Running",
                occurred=datetime.now(UTC),
                resource={"prefect.resource.id": f"prefect.flow-run.{uuid4()}", "prefect.state-type": "RUNNING"},
                related=[{"prefect.resource.id": "prefect.tag.case:1", "prefect.resource.role": "tag"}],
            )
        await asyncio.Event().wait()
        raise StopAsyncIteration


async def overdue_tasks(own: Resources, number: int) -> list[str]:
    """Tasks past their due time, without a ladder; the keys in the order of their due times."""
    keys_of = [f"t{n}" for n in range(number)]
    lines = "".join(f'      - {{key: {key}, title: T, owner: "user:ada", sla: 1h}}\n' for key in keys_of)
    text = "sop: plain\nversion: 1\ntitle: Plain\nstages:\n  - key: s\n    title: S\n    tasks:\n" + lines
    at = datetime.now(UTC)
    async with own.store.transaction() as tx:
        await world.people(tx)
        case = await cases.open_case(tx, loads(text), "Plain", by=BY, at=at)
        for n, key in enumerate(keys_of):
            task = await find.task_of(tx, case, key)
            await tasks.ask(tx, task, parameters=None, due_at=at - timedelta(hours=1, seconds=-n), by=BY, at=at)
    return keys_of


async def overdue(own: Resources) -> list[str]:
    async with own.store.reading() as tx:
        marked = select(models.Task.key).where(models.Task.overdue_at.is_not(None)).order_by(models.Task.due_at)
        return list(await tx.session.scalars(marked))


@pytest.mark.parametrize("error", [ConstraintBroken("not this one"), StoreBusy(), ZeroDivisionError("a mistake")])
async def test_one_that_cannot_be_marked_overdue_keeps_nobody_waiting(
    own: Resources, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    names, mark = await overdue_tasks(own, 3), notices.mark_overdue

    async def refuses_the_first(tx: object, task: models.Task, **given: object) -> bool:
        if task.key == names[0]:
            raise error
        return await mark(tx, task, **given)

    trouble = keep_going.Trouble("Overdue tasks")
    with monkeypatch.context() as broken:
        broken.setattr(notices, "mark_overdue", refuses_the_first)
        assert await post.mark_overdue(own, trouble) == 2
        assert await overdue(own) == names[1:]
        assert await post.mark_overdue(own, trouble) == 0
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(said) == 1, "the same is said once"
    assert "next: " in said[0]
    assert await post.mark_overdue(own, trouble) == 1


async def test_more_than_a_batch_that_are_stuck_do_not_hide_those_behind_them(own: Resources) -> None:
    stuck, free, taken = [f"a{n}" for n in range(250)], ["z1", "z2"], []

    async def due(limit: int) -> list[str]:
        return [one for one in (*stuck, *free) if one not in taken][:limit]

    async def handle(one: str) -> bool:
        if one in stuck:
            raise ZeroDivisionError(one)
        taken.append(one)
        return True

    done = await keep_going.each(due, handle, keep_going.Trouble("Some"), batch=100)
    assert taken == free
    assert (done.number, done.stuck) == (2, set(stuck))


async def test_a_case_that_cannot_be_repaired_keeps_no_other_from_it(
    own: Resources, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with own.store.transaction() as tx:
        await world.people(tx)
        for _ in range(2):
            await cases.open_case(tx, world.sop(), "One", by=BY, at=datetime.now(UTC))
    tried, signal = [], sweep._signal

    async def refuses_the_first(own: Resources, one: sweep._Known, lost: list[models.Question]) -> None:
        tried.append(one.number)
        if len(tried) == 1:
            raise ZeroDivisionError("a mistake")
        await signal(own, one, lost)

    async def nothing(*_: object, **__: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(sweep, "_signal", refuses_the_first)
    monkeypatch.setattr(sweep.runs, "read_many", nothing)
    monkeypatch.setattr(sweep, "_end_strays", nothing)
    async with PrefectClient("http://127.0.0.1:9/api") as nowhere:
        swept = await sweep.sweep_once(own, nowhere)
    assert (tried, swept.signalled) == ([1, 2], [2])
    assert "CASE-1" in caplog.text


async def test_while_the_database_is_away_each_is_not_tried_on_its_own(own: Resources) -> None:
    tried = []

    async def due(limit: int) -> list[str]:
        return ["a", "b", "c"][:limit]

    async def handle(one: str) -> bool:
        tried.append(one)
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        await keep_going.each(due, handle, keep_going.Trouble("Some"))
    assert tried == ["a"]


async def test_a_ladder_that_is_stuck_is_left_alone_for_a_minute_and_holds_up_no_other(
    own: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await late(own.settings.database_url, own.settings.home, 5)).close()
    climb, tries = escalation.escalation.climb, Counter[str]()

    async def refuses_one(tx: object, task: models.Task, **given: object) -> object:
        tries[task.key] += 1
        if task.key == "t0":
            raise ZeroDivisionError("a mistake")
        return await climb(tx, task, **given)

    monkeypatch.setattr(escalation.escalation, "climb", refuses_one)
    looking = escalate.Escalator(own, Prefect())
    for _ in range(3):
        await looking.look()
    assert (await told(own.store))["escalated"] == 4
    assert tries["t0"] == 1
    monkeypatch.setattr(escalation.escalation, "climb", climb)
    monkeypatch.setattr(escalate, "now", lambda: datetime.now(UTC) + timedelta(minutes=2))
    await looking.look()
    assert (await told(own.store))["escalated"] == 5


async def test_a_relay_without_prefect_sends_tells_and_seals_and_with_it_delivers(tmp_path: Path) -> None:
    """After a reboot the relay is there first; the server comes later, and nothing is started anew for it."""
    mail = tmp_path / "mail"
    site = Site(tmp_path / "site", CASEWRIGHT_MAIL_FOLDER=str(mail))
    try:
        site.prepare()
        site.start("relay")
        async with desk_at(site) as desk:
            case = await desk.open("late")
            at = datetime.now(UTC)
            async with desk.store.transaction() as tx:
                task = await find.task_of(tx, case, "judge")
                await tasks.ask(tx, task, parameters=None, due_at=at + timedelta(seconds=2), by=BY, at=at)

            async def is_told() -> bool:
                async with desk.store.reading() as tx:
                    sent = select(OutboxEntry.template).where(OutboxEntry.state == "sent")
                    events = select(AuditEvent.type).where(AuditEvent.type == "task.escalated")
                    waiting = await tx.session.scalar(select(func.count()).select_from(AuditPending))
                    templates = set(await tx.session.scalars(sent))
                    return templates >= {"assigned", "escalated"} and bool(
                        (await tx.session.scalars(events)).all() and not waiting
                    )

            await until(is_told, within=90)
            assert any(mail.iterdir())
            assert await desk.root(case.number) is None
            said = (site.logs / "relay.log").read_text()
            assert "Prefect does not answer at" in said
            assert "next: start it" in said

            site.start("server")
            site.deploy()

            async def has_run() -> str | None:
                return await desk.root(case.number)

            await until(has_run, within=90)
            assert site.running("relay")
    finally:
        site.stop()
