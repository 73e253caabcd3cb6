"""Finds the flow that a run is a run of, without asking Prefect or reading files for every run."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow, load_flow_from_entrypoint

_KEEP_SECONDS = 60.0


class NoFlow(Exception):
    """The run belongs to no deployment, or its deployment names no flow; deploy again: casewright deploy."""


class FlowLoader:
    """Remembers for a minute where the flow of a deployment is, and loads a file again only when it changed."""

    def __init__(self) -> None:
        self._entrypoints: dict[UUID, tuple[float, str]] = {}
        self._files: dict[str, tuple[int, Flow[..., Any]]] = {}

    async def flow_of(self, client: PrefectClient, run: FlowRun) -> Flow[..., Any]:
        """Return the flow of a run.

        Raises:
            NoFlow: There is none.
        """
        if run.deployment_id is None:
            raise NoFlow(NoFlow.__doc__)
        entrypoint = await self._entrypoint(client, run.deployment_id)
        path, _, name = entrypoint.rpartition(":")
        if not path:
            module, _, name = entrypoint.rpartition(".")
            return _attribute(module, name)
        return await self._from_file(path, entrypoint)

    async def _entrypoint(self, client: PrefectClient, deployment_id: UUID) -> str:
        until, entrypoint = self._entrypoints.get(deployment_id, (0.0, ""))
        if until < monotonic():
            entrypoint = (await client.read_deployment(deployment_id)).entrypoint or ""
            if not entrypoint:
                raise NoFlow(NoFlow.__doc__)
            self._entrypoints[deployment_id] = monotonic() + _KEEP_SECONDS, entrypoint
        return entrypoint

    async def _from_file(self, path: str, entrypoint: str) -> Flow[..., Any]:
        changed = (await asyncio.to_thread(Path(path).stat)).st_mtime_ns
        known = self._files.get(entrypoint)
        if known is None or known[0] != changed:
            known = changed, await asyncio.to_thread(load_flow_from_entrypoint, entrypoint)
            self._files[entrypoint] = known
        return known[1]


def _attribute(module: str, name: str) -> Flow[..., Any]:
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NoFlow(f"{error}; deploy again: casewright deploy") from error
    if not isinstance(found, Flow):
        raise NoFlow(f"{module}.{name} is not a flow")
    return found
