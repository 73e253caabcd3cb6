"""Puts on record every state that a run of a case enters in Prefect, and honours what is cancelled there.

A state's id is its event's id, so recording is idempotent: after a gap the states are read again from Prefect's API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events import Event
from sqlalchemy import select

from case_store import audit, cases, find, followed, models, signals
from case_store.actor import Actor
from case_store.store import Tx
from flows import names, run_events, runs
from flows.clock import now
from flows.keep_going import STORE_AWAY, Trouble, at_last, keep_going
from flows.prefect_client import AWAY
from flows.relay import catch_up
from flows.relay.seen import Seen, from_event
from flows.resources import Resources

BY = Actor.system("prefect")
_STATES = ("prefect.flow-run.*", "prefect.task-run.*")
_GATHER_SECONDS = 0.25
_AGAIN_AFTER = 60.0
_SOON = 2.0
_OVERLAP = timedelta(minutes=10)
_AT_ONCE = 500
_TAG = "prefect.tag."
_FLOW_RUN = "prefect.flow-run."
_REMEMBERED = 50_000


class Follower:
    """Takes events from Prefect and writes them in groups: one transaction for what came within a moment."""

    def __init__(self, own: Resources, client: PrefectClient) -> None:
        self._own, self._client = own, client
        self._may_have_missed = asyncio.Event()
        self._trouble = Trouble("A state of a run is not on record")
        self._read: dict[UUID, UUID | None] = {}
        self._seen: asyncio.Queue[Seen] = asyncio.Queue(maxsize=10_000)
        # Task runs bear no tags; they belong to the case of the flow run above them.
        self._numbers: dict[str, int | None] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(run_events.listen(_STATES, self._on_event, self._on_connected))
            group.create_task(self._keep_catching_up())
            group.create_task(self._write())

    async def _on_event(self, event: Event) -> None:
        if "prefect.state-type" in event.resource and (number := await self._number_of(event)) is not None:
            await self._seen.put(from_event(number, event))

    async def _number_of(self, event: Event) -> int | None:
        """Return the number of the case that the event's run belongs to; None when it belongs to none."""
        if run_events.is_flow_run(event):
            tags = [one.id.removeprefix(_TAG) for one in event.related if one.id.startswith(_TAG)]
            return self._remember(str(run_events.run_id(event)), names.number_of(tags))
        above = next((one.id.removeprefix(_FLOW_RUN) for one in event.related if one.id.startswith(_FLOW_RUN)), None)
        if above is not None and above not in self._numbers:
            run = await runs.read(self._client, above)
            self._remember(above, names.number_of(run.tags) if run else None)
        return self._numbers[above] if above else None

    def _remember(self, run_id: str, number: int | None) -> int | None:
        if len(self._numbers) >= _REMEMBERED:
            self._numbers.clear()
        self._numbers[run_id] = number
        return number

    async def _on_connected(self) -> None:
        self._may_have_missed.set()

    async def _keep_catching_up(self) -> None:
        """Catch up after each connection, and now and then: Prefect may lose events without a connection breaking."""
        whole, asked = True, False  # whole once for each process; it is the longer listing

        async def step() -> bool:
            nonlocal whole, asked
            if not asked:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._may_have_missed.wait(), _AGAIN_AFTER)
            self._may_have_missed.clear()
            asked = True  # until it has worked
            await self.catch_up(whole=whole)
            whole = asked = False
            return True

        await keep_going(step, "Catching up with Prefect", every=_SOON, longest=_SOON, known=AWAY)

    async def catch_up(self, *, whole: bool) -> None:
        """Put on record what the runs of all cases, closed ones too, did while nobody listened.

        How far that reached is noted, so that the next time begins there; some minutes overlap, because task runs'
        states bear the time of the worker's clock and Prefect writes them late.
        """
        async with self._own.store.reading() as tx:
            done = await followed.until(tx)
        began = await catch_up.server_time(self._client)
        since = done - _OVERLAP if done else None
        async for states in catch_up.states_since(self._client, since, self._read, whole=whole):
            for start in range(0, len(states), _AT_ONCE):
                await self._record(states[start : start + _AT_ONCE])
        async with self._own.store.transaction() as tx:
            await followed.move(tx, began)

    async def _write(self) -> None:
        async def step() -> bool:
            batch = [await self._seen.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            while not self._seen.empty() and len(batch) < _AT_ONCE:
                batch.append(self._seen.get_nowait())
            await self._record(batch)
            return True

        await keep_going(step, "States of runs", every=_SOON)

    async def _record(self, batch: list[Seen]) -> None:
        """Put states on record, and honour what they ask for; one with which that cannot be done holds up no other."""
        if await self._is_done(lambda tx: _record(tx, batch), batch):
            for seen in batch:
                if seen.cancels:
                    await self._is_done(partial(_honour, seen=seen), [seen])
        elif len(batch) > 1:
            for seen in batch:
                await self._record([seen])

    async def _is_done(self, change: Callable[[Tx], Awaitable[None]], batch: list[Seen]) -> bool:
        """Make a change as soon as the case store takes any; False when it does not take this one."""

        async def step() -> bool:
            try:
                async with self._own.store.transaction() as tx:
                    await change(tx)
            except STORE_AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - it is said
                about = f"run {batch[0].state.run_id}" if len(batch) == 1 else f"{len(batch)} at once"
                self._trouble.met(error, about)
                return False
            return True

        return await at_last(step, f"{len(batch)} states of runs wait to be put on record", every=1.0)


async def _honour(tx: Tx, seen: Seen) -> None:
    """Cancel the case whose run somebody cancelled in Prefect. Nobody knows who it was, and the record says so."""
    case = await find.case(tx, seen.number)
    noted = await signals.run_of(tx, case.id)
    outdated = case.reopened_at is not None and seen.at < case.reopened_at
    if noted.flow_run_id == seen.state.run_id and case.state == "open" and not outdated:
        await cases.cancel(tx, case, "Its run was cancelled in the Prefect UI.", by=BY, at=now())


async def _record(tx: Tx, batch: list[Seen]) -> None:
    numbers = {seen.number for seen in batch}
    rows = await tx.session.execute(select(models.Case.number, models.Case.id).where(models.Case.number.in_(numbers)))
    cases_by_number = {row.number: row.id for row in rows}
    known = [(cases_by_number[seen.number], seen.state, seen.at) for seen in batch if seen.number in cases_by_number]
    await audit.note_run_states(tx, known, by=BY)
