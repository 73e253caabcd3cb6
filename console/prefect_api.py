"""The few questions the command line asks Prefect, over plain HTTP and exactly as Prefect's own UI asks them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from console.errors import AnswerRefused, PrefectUnreachable

QUESTION = "casewright:question"
"""The tag of every run that waits for a person's answer."""

_TRIES = 8
_PAUSE = 0.25
_BUSY = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class WaitingRun:
    """A run that waits with a form; `schema_key` is under which input Prefect keeps the form's JSON Schema."""

    id: str
    name: str
    schema_key: str


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
