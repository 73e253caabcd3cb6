"""`casewright audit verify --prefect`: whether Prefect and the record tell the same about the runs of cases."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from rich.progress import Progress

from case_store import audit, find
from case_store.models import Case
from case_store.store import CaseStore
from console.call import Call
from console.errors import PrefectUnreachable
from console.output import Column
from console.prefect_api import PrefectApi, Run, StateOfRun
from console.text import moment, numbered

DIFFER = 20
"""The exit code when Prefect and the record differ."""

_AT_ONCE = 8
_PAGE = 100
# Prefect's event and its database tell the same time; records of other versions may have been rounded.
_SAME_TIME = timedelta(seconds=1)


@dataclass(frozen=True)
class Gap:
    """A state about which the two sides differ; `what` says how."""

    case: int
    what: str
    state_id: str
    state: str
    run: str
    run_id: str
    at: datetime


@dataclass
class Compared:
    """What was compared, and what came of it.

    Attributes:
        cases: How many cases were looked at.
        states: How many states both sides tell alike.
        under_way: How many states are too young to be a gap.
        gone: The ids of runs that are on record and that Prefect has forgotten as a whole.
    """

    cases: int = 0
    states: int = 0
    under_way: int = 0
    gone: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


async def prefect(call: Call, case: str | None, under_way: int, *, as_json: bool) -> int:
    """Compare, tell the gaps, and return the exit code."""
    compared = Compared()
    async with call.store() as store, httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        api = PrefectApi(call.settings.prefect_api_url, client)
        async with store.reading() as tx:
            numbers = [(await find.case(tx, case)).number] if case else await find.case_numbers(tx)
        with Progress(console=call.printer.err, transient=True, disable=not call.printer.err.is_terminal) as bar:
            try:
                for number in bar.track(numbers, description="cases"):
                    await _compare(store, api, number, call.now - timedelta(seconds=under_way), compared)
            except httpx.HTTPStatusError as error:
                raise PrefectUnreachable(f"{error.request.url} answers {error.response.status_code}") from error
    _tell(call, compared, as_json=as_json)
    return DIFFER if compared.gaps else 0


def _tell(call: Call, compared: Compared, *, as_json: bool) -> None:
    if as_json:
        call.printer.json(compared)
        return
    if compared.gaps:
        columns = [
            Column[Gap]("Case", lambda gap: gap.case, right=True, whole=True),
            Column[Gap]("What", lambda gap: gap.what),
            Column[Gap]("State", lambda gap: gap.state),
            Column[Gap]("Run", lambda gap: gap.run),
            Column[Gap]("When", lambda gap: moment(gap.at), whole=True),
            Column[Gap]("Id of the state", lambda gap: gap.state_id),
        ]
        call.printer.listing("gaps", compared.gaps, columns, as_json=False, empty="")
    call.printer.say(
        f"{numbered(compared.states, 'state')} of runs in {numbered(compared.cases, 'case')}: "
        f"{numbered(len(compared.gaps), 'difference')}, "
        f"{compared.under_way} under way"
    )
    if compared.gone:
        call.printer.say(
            f"gone from Prefect as a whole (deleted there, or its database was lost): "
            f"{numbered(len(compared.gone), 'run')}; what is on record about that has nothing to be compared with"
        )
    if compared.gaps:
        call.printer.say(
            "States that are not on record are caught up by a running relay; any other difference has to be explained "
            "by somebody"
        )


async def _compare(store: CaseStore, api: PrefectApi, number: int, settled: datetime, compared: Compared) -> None:
    known, runs = await _in_prefect(api, number)
    on_record = await _on_record(store, number)  # after Prefect: what happens meanwhile is young
    unheard_of = {(one.run.kind, one.run.id) for one in on_record.values()} - {(run.kind, run.id) for run in runs}
    found = await _by_id(api, unheard_of)
    known |= {one.id: one for one in await _states(api, found)}
    gone = unheard_of - {(run.kind, run.id) for run in found}
    compared.cases += 1
    compared.gone += sorted(run_id for _, run_id in gone)
    untagged = {run.id for run in found}
    for state_id in known.keys() | on_record.keys():
        ours, theirs = on_record.get(state_id), known.get(state_id)
        if ours is None and theirs is not None and theirs.run.id in untagged:
            continue  # it lost its tag, or is of another case: only what is on record about it is compared
        what = _difference(ours, theirs)
        one = ours or theirs
        if what is None or one is None:
            compared.states += 1
        elif theirs is None and (one.run.kind, one.run.id) in gone:
            continue
        elif one.at > settled:
            compared.under_way += 1
        else:
            compared.gaps.append(Gap(number, what, one.id, one.name, one.run.name, one.run.id, one.at))
    compared.gaps.sort(key=lambda gap: (gap.case, gap.at))


def _difference(ours: StateOfRun | None, theirs: StateOfRun | None) -> str | None:
    if ours is None or theirs is None:
        return "not on record" if ours is None else "on record, not in Prefect"
    unlike = [
        f"{name} {here} on record, {there} in Prefect"
        for name, here, there in (
            ("type", ours.type, theirs.type),
            ("name", ours.name, theirs.name),
            ("run", ours.run.id, theirs.run.id),
        )
        if here != there
    ]
    if abs(ours.at - theirs.at) > _SAME_TIME:
        unlike.append(f"time {ours.at.isoformat()} on record, {theirs.at.isoformat()} in Prefect")
    return "; ".join(unlike) or None


async def _in_prefect(api: PrefectApi, number: int) -> tuple[dict[str, StateOfRun], list[Run]]:
    of_case = {"tags": {"all_": [f"case:{number}"]}}
    runs = await api.flow_runs(of_case) + await api.task_runs(flow_runs=of_case)
    return {one.id: one for one in await _states(api, runs)}, runs


async def _by_id(api: PrefectApi, wanted: Iterable[tuple[str, str]]) -> list[Run]:
    """Return those of the runs that Prefect has, whatever tags they bear."""
    found: list[Run] = []
    for kind, ask in (
        ("flow-run", api.flow_runs),
        ("task-run", lambda of: api.task_runs(task_runs=of)),
    ):
        ids = sorted(run_id for its_kind, run_id in wanted if its_kind == kind)
        for start in range(0, len(ids), _PAGE):
            found += await ask({"id": {"any_": ids[start : start + _PAGE]}})
    return found


async def _states(api: PrefectApi, runs: Iterable[Run]) -> list[StateOfRun]:
    some = asyncio.Semaphore(_AT_ONCE)

    async def of(run: Run) -> list[StateOfRun]:
        async with some:
            return await api.states(run)

    return [state for found in await asyncio.gather(*map(of, runs)) for state in found]


async def _on_record(store: CaseStore, number: int) -> dict[str, StateOfRun]:
    async with store.reading() as tx:
        case: Case = await find.case(tx, number)
        async with aclosing(audit.run_states(tx, case)) as states:
            return {
                state.state_id: StateOfRun(
                    state.state_id,
                    Run(state.run_kind, state.run_id, state.run_name),
                    state.state_type,
                    state.state_name,
                    at,
                )
                async for state, at in states
            }
