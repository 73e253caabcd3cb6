"""The engine's processes, each a coroutine that runs until it is cancelled."""

from __future__ import annotations

import asyncio
import os
import socket

from case_store.settings import Settings
from flows import deployments, names
from flows import sweep as sweeping
from flows.keep_going import at_last
from flows.prefect_client import Prefect, prefect_client
from flows.relay.service import MEANWHILE, Relay
from flows.resources import resources
from flows.set_up import note_deployed, note_set_up
from flows.worker import CasewrightWorker

# Each run holds a few connections and some memory; more at once only wait for each other.
RUNS_AT_ONCE = 32


async def serve(settings: Settings) -> None:
    """Be worker and relay in one process; prints `ready` when both work. The relay begins without Prefect."""
    prefect = Prefect()
    async with resources(settings) as own:
        await note_set_up(own, "serve")
        relaying = Relay(own, prefect)
        async with asyncio.TaskGroup() as group:
            group.create_task(relaying.run())
            async with prefect.coming(f"Cases wait. {MEANWHILE}") as client:
                await at_last(lambda: deployments.ensure_work_pool(client), "The work pool", every=1.0)
                working = CasewrightWorker(names.WORK_POOL, name=_name("serve"), limit=RUNS_AT_ONCE)
                await working.start(printer=_say_ready)


async def worker(settings: Settings) -> None:
    """Be a worker; prints `ready` when it works."""
    async with resources(settings) as own, prefect_client() as client:
        await note_set_up(own, "worker")
        await deployments.ensure_work_pool(client)
        await CasewrightWorker(names.WORK_POOL, name=_name("worker"), limit=RUNS_AT_ONCE).start(printer=_say_ready)


async def relay(settings: Settings) -> None:
    """Be a relay; prints `ready` when it works, which it does without Prefect too."""
    prefect = Prefect()
    async with resources(settings) as own:
        await note_set_up(own, "relay")
        relaying = Relay(own, prefect)
        async with asyncio.TaskGroup() as group:
            group.create_task(relaying.run())
            _say_ready("relay")
            async with prefect.coming(MEANWHILE):
                await asyncio.Event().wait()


async def deploy(settings: Settings) -> None:
    """Deploy all SOPs of this installation, and put on record which are new to Prefect."""
    async with resources(settings) as own:
        await note_deployed(own, await deployments.deploy(settings))


async def sweep(settings: Settings) -> None:
    """Sweep once and print what was repaired."""
    async with resources(settings) as own, prefect_client() as client:
        os.write(1, f"{await sweeping.sweep_once(own, client)}\n".encode())


def _say_ready(message: str) -> None:
    """Say it when a worker says that it started; not when it says that it stopped."""
    if "stopped" not in message:
        os.write(1, b"ready\n")


def _name(kind: str) -> str:
    return f"casewright-{kind}-{socket.gethostname()}-{os.getpid()}"
