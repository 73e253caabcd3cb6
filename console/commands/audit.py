"""`casewright audit`: read and export the record."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Self

from cyclopts import App, Parameter

from case_store import audit, find, views
from case_store.actor import Actor
from case_store.audit import TrailEvent
from case_store.audit.fold import Folded
from case_store.errors import NotSealed
from case_store.models import Case
from case_store.store import CaseStore, Tx
from console.call import Call, Here
from console.errors import ConsoleError, FileRefused
from console.files import lines_to
from console.output import AsJson, Column
from console.text import moment

app = App(name="audit", help="Read and export the record.")
app.command("console.commands.audit_sinks:app", name="sinks", help="See where the record goes, and whether it arrives.")

app.command("console.commands.audit_key:app", name="key", help="Print the public key of the record, or change the key.")
app.command(
    "console.commands.audit_status:status", name="status", help="Say what waits to be sealed, and who has confirmed it."
)

OfCase = Annotated[str | None, Parameter(help="Only this case, by its number.")]


@app.command
async def tail(
    *,
    case: OfCase = None,
    count: Annotated[
        int, Parameter(name=["--count", "-n"], help="How many of the newest events.", show_default=True)
    ] = 20,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Print the newest events of the record, oldest of them first."""
    async with call.reading() as tx:
        of = await find.case(tx, case) if case else None
        events = await audit.tail(tx, await audit.last_id(tx, of, before=count), of, count)
        names = await Names.of(tx)
    if as_json:
        call.printer.json({"events": [{"id": event.id, **json.loads(event.body)} for event in events]})
        return
    columns = [
        Column[TrailEvent]("Id", lambda event: event.id, right=True, whole=True),
        Column[TrailEvent]("When", lambda event: moment(event.at), whole=True),
        Column[TrailEvent]("What", lambda event: event.type),
        Column[TrailEvent]("Who", names.actor),
        Column[TrailEvent]("Of", names.stream),
    ]
    call.printer.listing("events", events, columns, as_json=False, empty="nothing is on record yet")


@dataclass(frozen=True)
class Names:
    """What people say instead of ids."""

    handles: dict[str, str]
    cases: dict[str, int]

    @classmethod
    async def of(cls, tx: Tx) -> Self:
        """Learn the handles of people and the numbers of cases."""
        people, cases = await views.people(tx), await views.cases(tx)
        return cls({person.id: person.handle for person in people}, {case.id: case.number for case in cases})

    def actor(self, event: TrailEvent) -> str:
        """Name who did it."""
        return self.handles.get(event.actor.id, str(event.actor))

    def stream(self, event: TrailEvent) -> str:
        """Name what it is about."""
        kind, _, entity = event.stream.partition("/")
        if kind == "case" and entity in self.cases:
            return f"CASE-{self.cases[entity]}"
        return f"{kind} {self.handles.get(entity, entity)}"


@app.command
async def export(
    *,
    case: OfCase = None,
    out: Annotated[Path | None, Parameter(help="The file to write; else standard output.")] = None,
    bundle: Annotated[
        Path | None, Parameter(help="The zip to write instead: events, proofs, evidence and a verifier.")
    ] = None,
    no_evidence: Annotated[bool, Parameter(negative=(), help="Leave the files of evidence out of the bundle.")] = False,
    call: Here,
) -> None:
    """Write the record as JSON Lines, one event a line, oldest first; or as a bundle that anyone can verify.

    That you export is itself on record: it is the last line of the export.
    """
    if bundle is not None and out is not None:
        raise ConsoleError("--out and --bundle are two kinds of export", next_step="give one of them")
    async with call.store() as store:
        async with store.reading() as tx:
            by = Actor.person(await call.person(tx))
            of = await find.case(tx, case) if case else None
            expected = None if of else await audit.last_id(tx)
        if bundle is not None:
            await _write_bundle(store, bundle, of, by, call, with_evidence=not no_evidence)
            return
        with lines_to(out, call.printer.err, expected=expected) as sink:
            done = await audit.export(store, sink, of, by=by, at=call.now, request_id=call.request_id)
    if out is not None:
        call.printer.say(f"{done.events} events written to {out}")


async def _write_bundle(
    store: CaseStore, out: Path, of: Case | None, by: Actor, call: Call, *, with_evidence: bool
) -> None:
    from case_store.audit import bundle, keys, sequencer, witnesses
    from case_store.blobs import Blobs
    from case_store.errors import NotTheLogsKey

    settings = call.settings
    signer = keys.load_or_create(settings.keys) if (settings.keys / keys.PRIVATE).exists() else None

    async def seal() -> None:
        if signer is not None:
            with suppress(NotTheLogsKey):  # a relay that has it seals
                await sequencer.seal(store, signer, call.now)

    report = partial(views.report, case=of, by=call.person_name, at=call.now) if of else None
    wanted = bundle.Wanted(of, Blobs(settings.blobs) if with_evidence else None, report)
    wait = bundle.Wait(witnesses=tuple(one.key for one in witnesses.parse_all(settings.witnesses)))
    try:
        with call.printer.err.status("waiting for the seal, then writing"):
            done = await bundle.write(
                store, out, wanted, by=by, at=call.now, seal=seal, wait=wait, request_id=call.request_id
            )
    except OSError as error:
        raise FileRefused(f"{out} cannot be written: {error.strerror}") from error
    call.printer.say(f"{done.events} events and {done.evidence} files of evidence written to {out}")
    for name in done.unwitnessed:
        call.printer.warn(f"the witness {name} has not confirmed its checkpoint: see `casewright audit status`")
    call.printer.say(f"verify it with: casewright audit verify {out} --key {settings.keys / keys.PUBLIC}")


@app.command
async def verify(
    bundle: Path | None = None,
    *,
    state: Annotated[bool, Parameter(negative=(), help="Compare this installation's tables with its events.")] = False,
    log: Annotated[
        bool, Parameter(negative=(), help="Look through this installation's log: every event, stream and checkpoint.")
    ] = False,
    key: Annotated[Path | None, Parameter(help="The log's public key; default: that of this installation.")] = None,
    checkpoint: Annotated[Path | None, Parameter(help="A checkpoint that you saved before.")] = None,
    witness: Annotated[
        list[Path] | None, Parameter(negative="", help="Public key of a witness that must have confirmed it.")
    ] = None,
    max_age: Annotated[str | None, Parameter(help="How old the newest checkpoint may be: 30s, 10m, 6h, 1d.")] = None,
    sealed: Annotated[bool, Parameter(negative=(), help="Refuse events that are not in the tree yet.")] = False,
    call: Here,
) -> int:
    """Verify a bundle, step by step, as the verify.py in it does; or, with --state or --log, this installation itself.

    Exit codes: 0 everything holds, 2 unreadable, 10 altered, 11 missing, 12 truncated, 13 rolled back, 14 forked,
    15 unsealed, 16 stale, 17 unwitnessed.
    """
    from case_store.audit import keys, verifier
    from console import inspecting

    if state or log:
        code = await inspecting.log(call, key, checkpoint) if log else 0
        return code or (await inspecting.state(call) if state else 0)
    if bundle is None:
        raise ConsoleError("there is nothing to verify", next_step="name a bundle, or give --state or --log")
    given = ["--checkpoint", str(checkpoint)] if checkpoint else []
    given += [word for one in witness or [] for word in ("--witness", str(one))]
    given += ["--max-age", max_age] if max_age else []
    given += ["--sealed"] if sealed else []
    if key is None:
        keys.public_key(call.settings.keys)  # says what to do where there is none
    return verifier.main([str(bundle), "--key", str(key or call.settings.keys / keys.PUBLIC), *given])


@app.command
async def replay(
    *,
    case: Annotated[str, Parameter(help="The case, by its number.")],
    at: Annotated[datetime | None, Parameter(help="As it was then (UTC where no zone is named).")] = None,
    seq: Annotated[int | None, Parameter(help="As it was after so many of its events.")] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Show a case as it was, made from its events alone."""
    from case_store.audit import fold

    until = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    async with call.reading() as tx:
        last, rows = await fold.replay(tx, await find.case(tx, case), until=until, seq=seq)
    if as_json:
        found = [{"type": row.type, "id": row.id, "version": row.version, **row.values} for row in rows.values()]
        call.printer.json({"seq": last, "rows": found})
        return
    for row in rows.values():
        if row.type == "case":
            told = " · ".join(f"{name} {row.values.get(name)}" for name in ("severity", "state", "sop_key"))
            call.printer.say(f"CASE-{row.values['number']}  {row.values['title']}\n{told} · after {last} events")
    columns = [
        Column[Folded]("Task", lambda row: str(row.values["key"])),
        Column[Folded]("Title", lambda row: str(row.values["title"])),
        Column[Folded]("State", lambda row: str(row.values["state"])),
        Column[Folded]("Decision", lambda row: str(row.values.get("decision") or "")),
        Column[Folded]("Signed by", lambda row: str(row.values.get("signed_by") or "")),
    ]
    listed = [row for row in rows.values() if row.type == "task"]
    call.printer.listing("tasks", listed, columns, as_json=False, empty="the case did not exist yet")


@app.command
async def checkpoint(*, call: Here) -> None:
    """Print what the record has signed about itself last; keep it where nobody here can change it."""
    async with call.reading() as tx:
        newest = await audit.newest_checkpoint(tx)
    if newest is None:
        raise NotSealed("nothing is signed yet")
    call.printer.out.file.write(newest.note)
