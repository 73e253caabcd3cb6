"""Messages that ask for a decision carry a link by which it can be made, where the SOP allows that."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from case_store import find, sops
from case_store.actor import Actor
from case_store.errors import LinkKeyUnusable
from case_store.links import ASKING, LinkKeys, mint
from case_store.models import OutboxEntry, Person
from flows.clock import now
from flows.resources import Resources

log = logging.getLogger(__name__)


def personal_links(own: Resources, by: Actor) -> Callable[[OutboxEntry, Person], Awaitable[str | None]] | None:
    """Return what makes the link of a message; None where no page answers.

    It is made when the message is about to be sent. One that is tried again carries the same link: the first may have
    arrived.
    """
    settings = own.settings
    if settings.public_url is None:
        return None

    async def link(entry: OutboxEntry, person: Person) -> str | None:
        if entry.task_id is None or entry.template not in ASKING:
            return None
        async with own.store.reading() as tx:
            task = await find.task(tx, entry.task_id)
            case = await find.case(tx, task.case_id)
            if not (await sops.pinned(tx, case)).sop.task(task.key).by_link:
                return None
        try:
            keys = LinkKeys.load(settings.keys)
        except LinkKeyUnusable as error:
            log.warning("Messages go out without links: %s", error)
            return None
        async with own.store.transaction() as tx:
            lasts = settings.links_last
            token = await mint(
                tx, task, person, entry.channel, keys=keys, lasts=lasts, by=by, at=now(), message=entry.id
            )
        return f"{settings.public_url}/a/{token}" if token else None

    return link
