"""Reads from Prefect's API which states the runs of cases entered while nobody heard the events.

Prefect's filters know no "changed since". A run that changed since a time either has not ended, or ended since then; so
these are listed, a page at a time, and of them the states of those are read whose newest state is young enough. One
case escapes this: a run that had ended and was forced from one final state into another keeps its end time. For
these, `whole` lists all flow runs; the states are still read of the young ones only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterEndTime,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.client.schemas.objects import StateType as Type
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.exceptions import ObjectNotFound

from flows import names, runs
from flows.clock import now
from flows.relay.seen import Seen, from_api

_PAGE = 200
# Between two pages runs may leave what is listed, and those behind move up; so each page looks back a little.
_LOOK_BACK = 50
_AT_ONCE = 8
# Prefect may still be writing an older state of a task run whose newest state is younger than this.
_SETTLED = timedelta(minutes=2)
_REMEMBERED = 50_000
_UNFINISHED = [Type.SCHEDULED, Type.PENDING, Type.RUNNING, Type.PAUSED, Type.CANCELLING]
_OURS = FlowRunFilter(tags=FlowRunFilterTags(all_=[names.TAG]))


@dataclass(frozen=True, slots=True)
class _Changed:
    """A run that may have entered states since; `number` is that of its case."""

    number: int
    run: FlowRun | TaskRun


async def server_time(client: PrefectClient) -> datetime:
    """Return what the clocks of Prefect's server and of this machine agree is past: the earlier of the two."""
    answer = await client.request("GET", "/health")
    told = answer.headers.get("date")
    return min(now(), parsedate_to_datetime(told)) if told else now()


async def states_since(
    client: PrefectClient, since: datetime | None, known: dict[UUID, UUID | None], *, whole: bool
) -> AsyncIterator[list[Seen]]:
    """Yield, a page of runs at a time, all states of each run that changed since then; None means every run.

    Runs that are gone by the time their states are read have none. `known` remembers, from one time to the next, the
    newest state of each run that was read to its end; such a run is read again when it has another newest state.
    """
    if len(known) > _REMEMBERED:
        known.clear()
    numbers: dict[str, int | None] = {}
    for flow_filter in _flow_filters(since, whole=whole):
        async for page in _flow_runs(client, flow_filter):
            numbers.update({str(run.id): names.number_of(run.tags) for run in page})
            yield await _states(client, _changed(page, [str(run.id) for run in page], numbers, since), known)
    for task_filter in _task_filters(since):
        async for tasks in _task_runs(client, task_filter):
            above = [str(task.flow_run_id) for task in tasks]
            found = await runs.read_many(client, {run_id for run_id in above if run_id not in numbers})
            numbers.update({run_id: names.number_of(run.tags) for run_id, run in found.items()})
            yield await _states(client, _changed(tasks, above, numbers, since), known)


def _flow_filters(since: datetime | None, *, whole: bool) -> list[FlowRunFilter]:
    if whole or since is None:
        return [_OURS]
    ended = [FlowRunFilterEndTime(is_null_=True), FlowRunFilterEndTime.model_validate({"after_": since})]
    return [FlowRunFilter(tags=_OURS.tags, end_time=end) for end in ended]


def _task_filters(since: datetime | None) -> list[TaskRunFilter | None]:
    if since is None:
        return [None]
    unfinished = TaskRunFilterState(type=TaskRunFilterStateType(any_=_UNFINISHED))
    return [
        TaskRunFilter(state=unfinished),
        TaskRunFilter(end_time=TaskRunFilterEndTime.model_validate({"after_": since})),
    ]


def _changed(
    page: Sequence[FlowRun | TaskRun], above: list[str], numbers: dict[str, int | None], since: datetime | None
) -> list[_Changed]:
    """Return the runs that belong to a case and whose newest state is not older than `since`."""
    young = [since is None or run.state is None or run.state.timestamp >= since for run in page]
    return [
        _Changed(number, run)
        for run, flow_run_id, is_young in zip(page, above, young, strict=True)
        if is_young and (number := numbers.get(flow_run_id)) is not None
    ]


async def _flow_runs(client: PrefectClient, wanted: FlowRunFilter) -> AsyncIterator[list[FlowRun]]:
    offset = 0
    while page := await client.read_flow_runs(
        flow_run_filter=wanted, sort=FlowRunSort.ID_DESC, limit=_PAGE, offset=offset
    ):
        yield page
        if len(page) < _PAGE:
            return
        offset += _PAGE - _LOOK_BACK


async def _task_runs(client: PrefectClient, wanted: TaskRunFilter | None) -> AsyncIterator[list[TaskRun]]:
    offset = 0
    while page := await client.read_task_runs(
        flow_run_filter=_OURS, task_run_filter=wanted, sort=TaskRunSort.ID_DESC, limit=_PAGE, offset=offset
    ):
        yield page
        if len(page) < _PAGE:
            return
        offset += _PAGE - _LOOK_BACK


async def _states(client: PrefectClient, changed: list[_Changed], known: dict[UUID, UUID | None]) -> list[Seen]:
    some = asyncio.Semaphore(_AT_ONCE)
    settled = now() - _SETTLED

    async def of(one: _Changed) -> list[Seen]:
        async with some:
            return [from_api(one.number, one.run, state) for state in await _read(client, one.run)]

    unread = [one for one in changed if one.run.state is None or known.get(one.run.id) != one.run.state_id]
    found = await asyncio.gather(*map(of, unread))
    known |= {one.run.id: one.run.state_id for one in unread if one.run.state and one.run.state.timestamp < settled}
    return [seen for states in found for seen in states]


async def _read(client: PrefectClient, run: FlowRun | TaskRun) -> list[State[Any]]:
    try:
        if isinstance(run, FlowRun):
            return await client.read_flow_run_states(run.id)
        return await client.read_task_run_states(run.id)
    except ObjectNotFound:
        return []
