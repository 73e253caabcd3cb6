"""The deployments of this installation: what `prefect.yaml` says, and how it gets to the server.

There is one way to deploy, Prefect's own. `prefect.yaml` in the repository is what `render` writes for the built-in
SOPs; a test compares them. `casewright deploy` writes the same for all SOPs of this installation and has Prefect
deploy it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from io import StringIO
from pathlib import Path

from prefect import __version__ as prefect_version
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from case_store.settings import Settings
from flows import blocks, names
from flows.sop_text import describe
from flows.worker import CasewrightWorker
from sop.library import Library, directories
from sop.loader import LoadedSop
from sop.model import Sop

_HEAD = "The deployments of the built-in SOPs. Written by: python -m flows deploy --write prefect.yaml\n"


class DeployFailed(Exception):
    """Prefect refused the deployments; what it said stands above."""


def render(sops: Iterable[Sop]) -> str:
    """Return the text of `prefect.yaml` for these SOPs."""
    document = {
        "name": "casewright",
        "prefect-version": prefect_version,
        "deployments": [*(_of_sop(sop) for sop in sops), _manual_task(), _sweep(), _escalation()],
    }
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    text.write(f"# {_HEAD}")
    yaml.dump(document, text)
    return text.getvalue()


async def deploy(settings: Settings) -> Collection[LoadedSop]:
    """Deploy everything of this installation to the Prefect server in use; returns the SOPs.

    Raises:
        DeployFailed: Prefect refused.
    """
    library = Library.load(directories(settings.sops), settings.actions)
    async with get_client() as client:
        await ensure_work_pool(client)
        await blocks.register(client)
    settings.home.mkdir(parents=True, exist_ok=True)
    file = settings.home / "prefect.yaml"
    file.write_text(render(loaded.sop for loaded in library.sops.values()), encoding="utf-8")
    command = (sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file))
    process = await asyncio.create_subprocess_exec(*command, env=os.environ)
    if await process.wait() != 0:
        raise DeployFailed(DeployFailed.__doc__)
    return library.sops.values()


async def ensure_work_pool(client: PrefectClient) -> None:
    """Create the work pool if it is not there."""
    template = CasewrightWorker.get_default_base_job_template()
    try:
        await client.create_work_pool(
            WorkPoolCreate(name=names.WORK_POOL, type=names.WORKER_TYPE, base_job_template=template)
        )
    except ObjectAlreadyExists:
        return


def _of_sop(sop: Sop) -> Mapping[str, object]:
    return _deployment(
        sop.key,
        f"flows.sops.{names.attribute(sop.key)}",
        description=describe(sop),
        version=str(sop.version),
        tags=[names.TAG, "sop"],
    )


def _manual_task() -> Mapping[str, object]:
    return _deployment(
        names.MANUAL_TASK,
        "flows.manual_task.manual_task",
        description="Tasks that wait for people. Open a waiting run, press Resume, fill in the form, submit.",
        tags=[names.TAG],
    )


def _sweep() -> Mapping[str, object]:
    return _deployment(
        names.SWEEP,
        "flows.sweep.sweep",
        description="Brings Prefect in step with the case store. The relay does so every minute; run it to do so now.",
        tags=["casewright-upkeep"],
    )


def _escalation() -> Mapping[str, object]:
    return _deployment(
        names.ESCALATION,
        "flows.escalation.escalate",
        description="Tells who has to be told of what is late. The relay starts it as soon as something is.",
        tags=["casewright-upkeep"],
    )


def _deployment(
    name: str, entrypoint: str, *, description: str, tags: list[str], version: str | None = None
) -> dict[str, object]:
    text = LiteralScalarString(description.rstrip() + "\n") if "\n" in description else description
    return {
        "name": name,
        "entrypoint": entrypoint,
        "description": text,
        **({"version": version} if version else {}),
        "tags": tags,
        "work_pool": {"name": names.WORK_POOL},
        "pull": [],
    }


def write(path: Path) -> None:
    """Write `prefect.yaml` for the built-in SOPs."""
    library = Library.load()
    path.write_text(render(loaded.sop for loaded in library.sops.values()), encoding="utf-8")
