"""Puts on record every state that a run of a case enters in Prefect, and honours what is cancelled there.

A state's id is its event's id, so recording is idempotent: after a gap the states are read again from Prefect's API.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.events import Event
from sqlalchemy import select

from case_store import audit, cases, find, models, signals
from case_store.actor import Actor
from case_store.audit import RunState
from case_store.errors import StoreError
from case_store.store import Tx
from flows import names, run_events, runs
from flows.clock import now
from flows.resources import Resources

log = logging.getLogger(__name__)

BY = Actor.system("prefect")
_STATES = ("prefect.flow-run.*", "prefect.task-run.*")
_GATHER_SECONDS = 0.25
_AT_ONCE = 500
_TAG = "prefect.tag."
_FLOW_RUN = "prefect.flow-run."
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class _Seen:
    """A state that a run of a case entered."""

    number: int
    at: datetime
    state: RunState

    @property
    def cancels(self) -> bool:
        """Say whether somebody cancelled a flow run; the run of a case that is cancelled ends in a name of its own."""
        return self.state.run_kind == "flow-run" and self.state.state_name in {"Cancelling", "Cancelled"}


class Follower:
    """Takes events from Prefect and writes them in groups: one transaction for what came within a moment."""

    def __init__(self, own: Resources, client: PrefectClient) -> None:
        self._own, self._client = own, client
        self._seen: asyncio.Queue[_Seen] = asyncio.Queue(maxsize=10_000)
        # Task runs bear no tags; they belong to the case of the flow run above them.
        self._numbers: dict[str, int | None] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(run_events.listen(_STATES, self._on_event, self._catch_up))
            group.create_task(self._write())

    async def _on_event(self, event: Event) -> None:
        if "prefect.state-type" in event.resource and (number := await self._number_of(event)) is not None:
            await self._seen.put(_from_event(number, event))

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

    async def _catch_up(self) -> None:
        """Read what the flow runs of open cases did while nobody listened."""
        async with self._own.store.reading() as tx:
            open_runs = await tx.session.execute(
                select(models.Case.number, models.CaseRun.flow_run_id)
                .join(models.CaseRun, models.CaseRun.case_id == models.Case.id)
                .where(models.Case.state == "open", models.CaseRun.flow_run_id.is_not(None))
            )
            known = open_runs.all()
        for number, run_id in known:
            for state in await self._client.read_flow_run_states(UUID(str(run_id))):
                await self._seen.put(_from_state(number, str(run_id), state))

    async def _write(self) -> None:
        while True:
            batch = [await self._seen.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            while not self._seen.empty() and len(batch) < _AT_ONCE:
                batch.append(self._seen.get_nowait())
            await self._record(batch)

    async def _record(self, batch: list[_Seen]) -> None:
        while True:
            try:
                async with self._own.store.transaction() as tx:
                    await _record(tx, batch)
                    break
            except StoreError as error:
                log.warning("%s states of runs wait to be put on record: %s", len(batch), error)
                await asyncio.sleep(1)
        for seen in batch:
            if seen.cancels:
                await self._honour(seen)

    async def _honour(self, seen: _Seen) -> None:
        """Cancel the case whose run somebody cancelled in Prefect. Nobody knows who it was, and the record says so."""
        async with self._own.store.transaction() as tx:
            case = await find.case(tx, seen.number)
            noted = await signals.run_of(tx, case.id)
            outdated = case.reopened_at is not None and seen.at < case.reopened_at
            if noted.flow_run_id == seen.state.run_id and case.state == "open" and not outdated:
                await cases.cancel(tx, case, "Its run was cancelled in the Prefect UI.", by=BY, at=now())


async def _record(tx: Tx, batch: list[_Seen]) -> None:
    numbers = {seen.number for seen in batch}
    rows = await tx.session.execute(select(models.Case.number, models.Case.id).where(models.Case.number.in_(numbers)))
    cases_by_number = {row.number: row.id for row in rows}
    known = [(cases_by_number[seen.number], seen.state, seen.at) for seen in batch if seen.number in cases_by_number]
    await audit.note_run_states(tx, known, by=BY)


def _from_event(number: int, event: Event) -> _Seen:
    resource = event.resource
    state = RunState(
        state_id=str(event.id),
        run_kind="flow-run" if run_events.is_flow_run(event) else "task-run",
        run_id=str(run_events.run_id(event)),
        run_name=resource.get("prefect.resource.name") or "",
        state_type=resource["prefect.state-type"],
        state_name=resource.get("prefect.state-name") or "",
        message=resource.get("prefect.state-message") or None,
    )
    return _Seen(number, event.occurred, state)


def _from_state(number: int, run_id: str, state: State[Any]) -> _Seen:
    return _Seen(
        number,
        state.timestamp or now(),
        RunState(
            state_id=str(state.id),
            run_kind="flow-run",
            run_id=run_id,
            run_name="",
            state_type=state.type.value,
            state_name=state.name or "",
            message=state.message or None,
        ),
    )
