"""Whether the record and the tables of this installation are as they were written; each fault is a line."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

from case_store import access, audit
from case_store.audit import beside, fold, inspection, keys, log_keys, succession, verifier
from case_store.audit import files as evidence_files
from case_store.audit.checkpoints import Checkpoint, NoteRefused, VerifierKey, opened
from case_store.audit.keepsakes import Fault
from case_store.blobs import Blobs
from case_store.store import Tx
from console.call import Call
from console.errors import BadLogKey, FileRefused
from console.files import counting
from console.text import numbered


async def log(call: Call, key: Path | None, checkpoint: Path | None) -> int:
    """Look through the audit log, and compare it with a saved checkpoint; return the exit code of the first fault."""
    vkey = _key(key) if key else keys.public_key(call.settings.keys)
    found: list[Fault] = []
    async with call.whole() as tx:
        every = succession.linked(await log_keys.statements(tx), vkey)
        saved = _saved(checkpoint, every) if checkpoint else None
        with counting(call.printer.err, "events", await audit.last_id(tx)) as seen:
            async for fault in inspection.faults(tx, every, saved, seen=seen):
                call.printer.line(str(fault))
                found.append(fault)
    if found:
        call.printer.say(
            f"{numbered(len(found), 'fault')}: somebody changed the log around the case store.\n"
            "  next: keep this database as it is, and compare it with bundles that were exported before"
        )
        return verifier.CODES[found[0].kind]
    call.printer.say("Every event, stream and checkpoint is as it was written.")
    return 0


async def state(call: Call) -> int:
    """Compare tables and files with the events; return the exit code. Of restricted cases no content is shown."""
    count = 0
    async with call.store() as store:
        async with store.reading() as tx:
            restricted, expected = await access.restricted(tx), await evidence_files.number(tx)
            with call.printer.err.status("comparing the tables with the events"):
                async for one in _of_tables(tx):
                    _print(call, one, restricted)
                    count += 1
        with counting(call.printer.err, "files of evidence", expected) as seen:
            async for one in evidence_files.differences(store, Blobs(call.settings.blobs), seen=seen):
                _print(call, one, restricted)
                count += 1
    if count:
        call.printer.say(f"{numbered(count, 'difference')}: somebody changed tables or files around the case store")
        return verifier.CODES["altered"]
    call.printer.say("Everything in the tables and every file of evidence is what the events say.")
    return 0


async def _of_tables(tx: Tx) -> AsyncIterator[fold.Difference]:
    async for one in fold.differences(tx):
        yield one
    async for one in beside.differences(tx):
        yield one


def _print(call: Call, one: fold.Difference, restricted: frozenset[str]) -> None:
    call.printer.line(one.without_content() if one.cases & restricted else str(one))


def _key(path: Path) -> VerifierKey:
    try:
        return VerifierKey.parse(_text(path))
    except NoteRefused as error:
        raise BadLogKey(f"{path}: {error}") from error


def _saved(path: Path, every: Sequence[VerifierKey]) -> Checkpoint:
    """Return a checkpoint that one of the log's keys has signed."""
    note = _text(path)
    try:
        for key in every[:-1]:
            with suppress(NoteRefused):
                return Checkpoint.parse(opened(note, key))
        return Checkpoint.parse(opened(note, every[-1]))
    except NoteRefused as error:
        raise FileRefused(
            f"{path}: {error}", next_step="Give a file that `casewright audit checkpoint` wrote."
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileRefused(f"{path} cannot be read: {error}") from error
