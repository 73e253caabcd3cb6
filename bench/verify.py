"""How fast does a stranger verify a bundle, and does the memory stay flat? How fast is a case replayed?

Each bundle is verified by `verify.py` in a process of its own. The floor is a process that reads the same zip and
hashes each line, and does nothing else.
Run: make bench BENCH=verify ARGS="--events 10000 --events 1000000"
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.table import print_table
from case_store import migrate, notes
from case_store.audit import fold, verifier
from case_store.audit.bundle_files import FORMAT
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.events import Event, Place, Subject
from case_store.audit.merkle import Peaks, leaf_hash
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.making import BY, NOW, add_case

SIGNER = Signer("bench/audit", Ed25519PrivateKey.generate())
STREAMS = 500
READ_AND_HASH = """
import hashlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open("events.jsonl") as lines:
    for line in lines:
        hashlib.sha256(line).digest()
"""
# Waits for a command from a small process: a child's greatest memory is never told as less than its parent's.
MEASURED = """
import os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(time.perf_counter() - began, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Spent:
    """What a process took."""

    seconds: float
    mebibytes: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, action="append", help="size of a bundle; may be given several times")
    parser.add_argument("--replayed", type=int, default=10_000, help="events of the case that is replayed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _verify(Path(folder), given.events or [10_000, 100_000, 1_000_000])
        asyncio.run(_replay(Path(folder), given.replayed))


def _verify(folder: Path, sizes: Sequence[int]) -> None:
    rows = []
    for size in sizes:
        bundle = _bundle(folder / f"{size}.zip", size)
        key = folder / "key"
        key.write_text(str(SIGNER.verifier()))
        floor = _spent([sys.executable, "-c", READ_AND_HASH, str(bundle)])
        ours = _spent([sys.executable, verifier.__file__, str(bundle), "--key", str(key)])
        ratio = f"{ours.seconds / floor.seconds:.1f}"
        rows.append([f"{size:,}", *_cells(size, floor), *_cells(size, ours), ratio])
        bundle.unlink()
    head = ["events", "read and hash: events/s", "MiB", "verify: events/s", "MiB", "times the floor"]
    print_table("Verifying a bundle of the whole record", head, rows)


def _cells(size: int, spent: Spent) -> tuple[str, str]:
    return f"{size / spent.seconds:,.0f}", f"{spent.mebibytes:.0f}"


def _spent(command: Sequence[str]) -> Spent:
    measured = [sys.executable, "-S", "-c", MEASURED, *command]
    told = subprocess.run(measured, check=True, capture_output=True, text=True).stdout.split()
    return Spent(float(told[0]), float(told[1]) / 1024)


def _bundle(out: Path, size: int) -> Path:
    """Write a bundle as the product does, without a database: events of 500 streams in turn, and the export's."""
    peaks, heads = Peaks(), dict[str, tuple[int, bytes | None]]()
    with ZipFile(out, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("events.jsonl", "w", force_zip64=True) as lines:
            leaves = []
            for number in range(size):
                body = _event(number, last=number == size - 1, heads=heads).encode()
                lines.write(body + b"\n")
                leaves.append(leaf_hash(body))
                if len(leaves) == 10_000 or number == size - 1:  # noqa: PLR2004
                    peaks, leaves = peaks.grown(leaves), []
        manifest = {"format": FORMAT, "scope": "all", "export": f"e{size - 1}", "with_evidence": False}
        archive.writestr("manifest.json", json.dumps(manifest))
        note = SIGNER.sign_at(Checkpoint(SIGNER.name, peaks.size, peaks.root()).text(), int(NOW.timestamp()))
        archive.writestr("checkpoint.txt", note)
    return out


def _event(number: int, *, last: bool, heads: dict[str, tuple[int, bytes | None]]) -> str:
    stream = "system" if last else f"case/{number % STREAMS:036}"
    seq, head = heads.get(stream, (0, None))
    event = Event(
        event_id=f"e{number}",
        at=NOW,
        type="audit.exported" if last else "task.opened",
        stream=stream,
        by=BY,
        request_id="019d0000-0000-7000-8000-000000000000",
        subject=None if last else Subject("task", f"{number:036}", 1),
        changes={} if last else {"state": ("waiting", "open"), "owner_id": (None, f"{number:036}"), "note": ("", "é")},
        facts={"scope": "all", "format": "bundle"}
        if last
        else {"title": "Ask the owner of the mailbox whether the mail was expected"},
    )
    body = event.body(Place(seq + 1, head))
    heads[stream] = (seq + 1, leaf_hash(body.encode()))
    return body


async def _replay(folder: Path, count: int) -> None:
    settings = Settings(home=folder)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    async with store.transaction() as tx:
        case, *_ = await add_case(tx)
        note = await notes.add(tx, case, "0", author=BY, by=BY, at=NOW)
    for start in range(4, count, 500):
        async with store.transaction() as tx:
            for number in range(start, min(start + 500, count)):
                note = await notes.revise(tx, note, f"wording {number} " + "x" * 200, by=BY, at=NOW)
    async with store.reading() as tx:
        began = time.perf_counter()
        last, rows = await fold.replay(tx, case)
        spent = time.perf_counter() - began
    await store.close()
    print_table("Replaying a case", ["events", "rows", "seconds"], [[f"{last:,}", str(len(rows)), f"{spent:.2f}"]])


if __name__ == "__main__":
    main()
