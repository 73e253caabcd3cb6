"""What the processes of a site put on record about it: its settings, its SOPs, its deployments."""

import asyncio
import json
from collections import Counter

from sqlalchemy import select

from case_store.models import AuditEvent
from case_store.store import CaseStore
from tests.site import Desk, Site

TYPES = ("config.changed", "sop.added", "sop.changed", "sop.deployed")


async def _told(store: CaseStore) -> list[tuple[str, str, str]]:
    """Return type, author, and process or SOP of each event about the set-up."""
    query = select(AuditEvent.body).where(AuditEvent.type.in_(TYPES)).order_by(AuditEvent.id)
    async with store.reading() as tx:
        bodies = [json.loads(body) for body in await tx.session.scalars(query)]
    facts = [body["facts"] for body in bodies]
    about = [one.get("process") or one["key"] for one in facts]
    return [(body["type"], body["actor"]["id"], what) for body, what in zip(bodies, about, strict=True)]


async def test_a_site_that_starts_tells_what_it_is_set_up_with_once(site: Site, desk: Desk) -> None:
    sops = site.library().sops
    wanted = Counter({("config.changed", "serve", "serve"): 1})
    wanted += Counter(("sop.added", "serve", key) for key in sops)
    wanted += Counter(("sop.deployed", "deploy", key) for key in sops)
    assert Counter(await _told(desk.store)) == wanted
    await asyncio.to_thread(site.deploy)
    assert Counter(await _told(desk.store)) == wanted
