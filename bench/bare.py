"""The peer of `bench.engine`: 3 subflows x 3 tasks in plain Prefect, with nothing of ours in it."""

import asyncio
import sys

from prefect import flow, task
from prefect.client.orchestration import get_client


@task
async def work() -> str:
    """Do nothing."""
    return "done"


@flow
async def stage_one() -> None:
    """Run three tasks side by side."""
    await asyncio.gather(work(), work(), work())


@flow
async def stage_two() -> None:
    """Run three tasks side by side."""
    await asyncio.gather(work(), work(), work())


@flow
async def stage_three() -> None:
    """Run three tasks side by side."""
    await asyncio.gather(work(), work(), work())


@flow
async def bare() -> None:
    """Run three stages one after another."""
    await stage_one()
    await stage_two()
    await stage_three()


async def _deploy() -> None:
    async with get_client() as client:
        await client.create_deployment(
            await client.create_flow(bare), "bare", entrypoint="bench.bare.bare", work_pool_name="casewright"
        )


if __name__ == "__main__" and "--deploy" in sys.argv:
    asyncio.run(_deploy())
