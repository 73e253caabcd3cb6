"""What is late is told by a run of the deployment, which the relay starts; and by the relay when Prefect is away."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from sqlalchemy import select

from case_store import migrate
from case_store.blobs import Blobs
from case_store.models import AuditEvent
from case_store.settings import Settings
from flows.prefect_client import PatientTransport, Prefect
from flows.relay import escalate
from flows.resources import Resources
from tests.faults.test_lateness import late, told
from tests.site import Desk, until


async def test_a_run_of_the_deployment_tells_what_is_late(desk: Desk) -> None:
    case = await desk.open("late")

    async def rungs() -> list[str]:
        async with desk.store.reading() as tx:
            of_case = AuditEvent.stream == f"case/{case.id}", AuditEvent.type == "task.escalated"
            found = [event.body for event in await tx.session.scalars(select(AuditEvent).where(*of_case))]
        return found if any('"to":"user:mia"' in body for body in found) else []

    await until(rungs, within=90)

    async def has_run() -> bool:
        runs = await desk._request("POST", "/flow_runs/filter", json={"flows": {"name": {"any_": ["escalation"]}}})
        return any(run["state"]["type"] == "COMPLETED" for run in runs.json())

    await until(has_run, within=90)


async def test_when_prefect_goes_away_the_relay_tells_it_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the client of the relay, which knocks for a minute where nobody answers: longer than anybody may be late."""
    monkeypatch.setattr(escalate, "_STARTING", 0.5)
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await late(settings.database_url, tmp_path, 3)
    own = Resources(settings, store, Blobs(settings.blobs), {})
    async with (
        PrefectClient("http://127.0.0.1:9/api", httpx_settings={"transport": PatientTransport()}) as nowhere,
        asyncio.timeout(30),
    ):
        await escalate.Escalator(own, Prefect(nowhere)).look()
    assert (await told(store))["escalated"] == 3
    await store.close()


async def test_without_prefect_the_relay_tells_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await late(settings.database_url, tmp_path, 3)
    await escalate.Escalator(Resources(settings, store, Blobs(settings.blobs), {}), Prefect()).look()
    assert (await told(store))["escalated"] == 3
    await store.close()


async def test_what_no_run_comes_to_the_relay_tells_itself(desk: Desk, tmp_path: Path) -> None:
    """The run is taken, and no worker carries it out: this one's tasks are in another database."""
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await late(settings.database_url, tmp_path, 3)
    own = Resources(settings, store, Blobs(settings.blobs), {})
    async with PrefectClient(desk.site.api) as client:
        await escalate.Escalator(own, Prefect(client), patience=timedelta(seconds=1)).look()
    assert (await told(store))["escalated"] == 3
    await store.close()
