"""The few questions the command line asks Prefect, over plain HTTP and exactly as Prefect's own UI asks them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from console.errors import AnswerRefused, PrefectUnreachable

QUESTION = "casewright:question"
"""The tag of every run that waits for a person's answer."""

_TRIES = 8
_PAGE = 200  # the most that Prefect gives at once
_LOOK_BACK = 50
_PAUSE = 0.25
_BUSY = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class WaitingRun:
    """A run that waits with a form; `schema_key` is under which input Prefect keeps the form's JSON Schema."""

    id: str
    name: str
    schema_key: str


@dataclass(frozen=True)
class Run:
    """A run in Prefect; `kind` is `flow-run` or `task-run`."""

    kind: str
    id: str
    name: str


@dataclass(frozen=True)
class StateOfRun:
    """A state that a run entered."""

    id: str
    run: Run
    type: str
    name: str
    at: datetime


class PrefectApi:
    """Prefect's API at one address."""

    def __init__(self, url: str, client: httpx.AsyncClient, *, pause: float = _PAUSE) -> None:
        self._url = url.rstrip("/")
        self._client = client
        self._pause = pause

    async def waiting(self) -> list[WaitingRun]:
        """Return the runs that wait for an answer now."""
        wanted = {"flow_runs": {"tags": {"all_": [QUESTION]}, "state": {"type": {"any_": ["PAUSED"]}}}, "limit": 200}
        found = (await self._call("POST", "/flow_runs/filter", json=wanted)).json()
        return [
            WaitingRun(run["id"], run["name"], keyset["schema"])
            for run in found
            if (keyset := run["state"]["state_details"].get("run_input_keyset"))
        ]

    async def form(self, run: WaitingRun) -> dict[str, Any]:
        """Return the JSON Schema of the form that the run shows."""
        answer = await self._call("GET", f"/flow_runs/{run.id}/input/{run.schema_key}")
        form: dict[str, Any] = answer.json()
        return form

    async def answer(self, run: WaitingRun, values: Mapping[str, object]) -> None:
        """Press Resume with these values in the form.

        Raises:
            AnswerRefused: Prefect did not take the answer (it answers 200 all the same).
        """
        result = (await self._call("POST", f"/flow_runs/{run.id}/resume", json={"run_input": dict(values)})).json()
        if result["status"] != "ACCEPT":
            reason = (result.get("details") or {}).get("reason") or result["status"]
            raise AnswerRefused(f"Prefect refused the answer to {run.name!r}: {reason}")

    async def flow_runs(self, wanted: Mapping[str, object]) -> list[Run]:
        """Return the flow runs that a filter of Prefect's finds."""
        return [Run("flow-run", run["id"], run["name"]) for run in await self._all("flow", {"flow_runs": wanted})]

    async def task_runs(self, **filters: Mapping[str, object]) -> list[Run]:
        """Return the task runs that Prefect's filters find: `task_runs`, `flow_runs`."""
        return [Run("task-run", run["id"], run["name"]) for run in await self._all("task", filters)]

    async def states(self, run: Run) -> list[StateOfRun]:
        """Return all states that a run entered; none when Prefect has no such run."""
        kind = run.kind.replace("-", "_")
        answer = await self._call("GET", f"/{kind}_states/", params={f"{kind}_id": run.id})
        return [
            StateOfRun(one["id"], run, one["type"], one["name"] or "", datetime.fromisoformat(one["timestamp"]))
            for one in answer.json()
        ]

    async def _all(self, kind: str, filters: Mapping[str, object]) -> list[dict[str, Any]]:
        """Page through a listing. Pages overlap, as runs may join or leave meanwhile; each is told once."""
        found: dict[str, dict[str, Any]] = {}
        offset = 0
        while True:
            body = {**filters, "sort": "ID_DESC", "limit": _PAGE, "offset": offset}
            page = (await self._call("POST", f"/{kind}_runs/filter", json=body)).json()
            found.update({run["id"]: run for run in page})
            if len(page) < _PAGE:
                return list(found.values())
            offset += _PAGE - _LOOK_BACK

    async def _call(self, method: str, path: str, **how: Any) -> httpx.Response:  # noqa: ANN401 - handed to httpx
        """Ask, and ask again while Prefect's database is locked or its server starts anew."""
        trouble = ""
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(self._pause * attempt)
            try:
                response = await self._client.request(method, self._url + path, **how)
            except httpx.TransportError as error:
                trouble = str(error) or type(error).__name__
                continue
            if response.status_code not in _BUSY:
                response.raise_for_status()
                return response
            trouble = f"HTTP {response.status_code}"
        raise PrefectUnreachable(f"Prefect does not answer at {self._url}: {trouble}")
