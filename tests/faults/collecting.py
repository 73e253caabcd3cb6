"""A relay's part that takes mails from a folder, until it is killed or there are none left."""

import asyncio
from datetime import timedelta
from pathlib import Path

from case_store.blobs import Blobs
from case_store.errors import StoreError
from case_store.links import LinkKeys
from case_store.replies import Addresses, by_mail, mailboxes
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.clock import now
from flows.relay.collect import Collector
from flows.replies.spool import SpoolMailbox
from flows.resources import Resources

ADDRESSES = Addresses("soc@corp.example", LinkKeys(("k" * 43,)))
SPOOL = "spool"


def collect(url: str, home: Path) -> None:
    """Take what is in the folder."""
    asyncio.run(_collect(url, home))


async def _collect(url: str, home: Path) -> None:
    # A lease so short that those who are killed do not hold up the next; and no limit for a flood of comments.
    mailboxes.LEASE = timedelta(seconds=0.5)  # type: ignore[misc]
    by_mail.MOST_AN_HOUR = 10_000  # type: ignore[misc]
    settings = Settings(home=home, database_url=url)
    store = await CaseStore.open(settings)
    own = Resources(settings, store, Blobs(settings.blobs), {})
    collector = Collector(own, SpoolMailbox(home / SPOOL, now), ADDRESSES)
    while any((home / SPOOL).glob("*.eml")):
        try:
            await collector.step()
        except (StoreError, ExceptionGroup):  # the other one has moved the file, or has written first
            await asyncio.sleep(0.01)
    await store.close()
