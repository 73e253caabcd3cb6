"""What does the audit trail cost those who write, and how fast does the tree follow?

On SQLite and on PostgreSQL, with 1 and with 8 writers, in turn within one run: a note gets another wording, which is
one UPDATE and one INSERT in one transaction; and the same with its audit event, chain and triggers, as the product
writes it; one at a time, and many in one transaction. CPU time is told besides, for it depends less on what else runs.
Run: make bench BENCH=audit
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from bench.audit_writing import Found, measure_sequencer, measure_writing
from bench.table import print_table
from tests import postgres

HEAD = ["", "writers", "plain /s", "grouped /s", "audited /s", "of plain", "CPU plain", "grouped", "audited", "COMMITs"]
BATCH = 64
WAYS = (
    ("orm", "ORM session", 1, 1),
    ("orm", "ORM session", 1, 8),
    ("orm", f"{BATCH} notes in a transaction", BATCH, 1),
    ("orm", f"{BATCH} notes in a transaction", BATCH, 8),
    ("core", "statements alone (Core)", 1, 1),
    ("core", "statements alone (Core)", 1, 8),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (default: 2)")
    parser.add_argument("--events", type=int, default=20_000, help="events for the sequencer (default: 20000)")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    given = parser.parse_args()
    for kind in ["sqlite", "postgresql"] if given.database == "both" else [given.database]:
        with tempfile.TemporaryDirectory() as folder:
            _writing(kind, Path(folder), given.rounds, given.seconds)
        with tempfile.TemporaryDirectory() as folder, _databases(kind, Path(folder)) as urls:
            rate = asyncio.run(measure_sequencer(urls[1], Path(folder), given.events))
        rows = [[f"{given.events} waiting events into the tree, signed", f"{rate:.0f}"]]
        print_table(f"Sequencer, {kind}", ["", "events/s"], rows)


def _writing(kind: str, folder: Path, rounds: int, seconds: float) -> None:
    """One change = UPDATE notes + INSERT note_revisions, each writer with a case of its own.

    Plain has the same tables without triggers and commits each transaction. Grouped is plain with the product's way of
    sharing COMMITs. Audited is `CaseStore.transaction`.
    """
    rows = []
    for path, name, notes, writers in WAYS:
        with _databases(kind, folder) as urls:
            found = asyncio.run(measure_writing(urls, folder, path, writers, notes, rounds, seconds))
        sys.stderr.write(f"{kind}, {name}, {writers}: measured\n")
        rows.append([name, str(writers), *_row(found)])
    title = (
        f"A note gets another wording (UPDATE + INSERT), {kind}: medians of {rounds} turns of {seconds:g} s\n"
        "  plain: tables without triggers, a COMMIT for each transaction; grouped: plain, with COMMITs shared as the"
        " product's\n  audited: + event, chain, triggers, as the product; CPU: of this process, in ms for each change"
    )
    print_table(title, HEAD, rows)


def _row(found: Found) -> list[str]:
    return [
        f"{found.plain.rate:.0f}",
        f"{found.grouped.rate:.0f}" if found.grouped else "",
        f"{found.audited.rate:.0f}",
        f"{found.audited.rate / found.plain.rate:.2f}",
        f"{found.plain.cpu:.2f}",
        f"{found.grouped.cpu:.2f}" if found.grouped else "",
        f"{found.audited.cpu:.2f}",
        f"{found.commits:.2f}",
    ]


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the URLs of two empty databases of this kind."""
    name = f"casewright_bench_{uuid4().hex[:8]}"
    names = [f"{name}_plain", f"{name}_audited"]
    if kind == "sqlite":
        yield tuple(f"sqlite:///{folder / one}.db" for one in names)  # type: ignore[misc]
        return
    try:
        for one in names:
            postgres.on_server(f'CREATE DATABASE "{one}"')
        yield tuple(  # type: ignore[misc]
            postgres.server().set(database=one).render_as_string(hide_password=False) for one in names
        )
    finally:
        for one in names:
            postgres.on_server(f'DROP DATABASE IF EXISTS "{one}" WITH (FORCE)')


if __name__ == "__main__":
    main()
