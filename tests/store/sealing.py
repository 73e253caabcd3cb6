"""A relay that dies while it seals: `python tests/store/sealing.py URL HOME`. Says `held` when it has the tree."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import select

from case_store.audit import sequencer
from case_store.models import AuditTree
from case_store.settings import Settings
from case_store.store import CaseStore


async def main(url: str, home: str) -> None:
    store = await CaseStore.open(Settings(home=Path(home), database_url=url))
    async with store.transaction() as tx:
        tree = await tx.session.scalar(select(AuditTree).with_for_update())
        assert tree is not None
        await sequencer._place(tx, tree.size, await sequencer._waiting(tx))
        sys.stdout.write("held\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
