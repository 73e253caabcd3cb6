"""`casewright audit export`: the record in one of many formats, or as a bundle that proves itself."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from case_store import access, audit, find, views
from case_store.actor import Actor
from case_store.audit import Selection
from case_store.models import Case
from case_store.refusals import NotForYou
from case_store.store import CaseStore, Tx
from console.call import Call, Here
from console.errors import ConsoleError, FileRefused
from console.files import lines_to
from console.moments import a_moment

OfCase = Annotated[str | None, Parameter(help="Only this case, by its number.")]
FormatName = Literal["jsonl", "ocsf", "cef", "syslog", "ecs", "csv", "case-uco"]
_PARTS: Final = ("system", "run", "person")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Which:
    """Which events leave; all of them unless something is said. What is said has to fit together."""

    case: OfCase = None
    since: Annotated[
        datetime | None,
        Parameter(converter=a_moment, help="Only what happened then or later (UTC if no zone is named)."),
    ] = None
    until: Annotated[datetime | None, Parameter(converter=a_moment, help="Only what happened before then.")] = None
    actor: Annotated[
        str | None, Parameter(help="Only what they did: a handle, or a part of the system (system:relay).")
    ] = None

    async def selection(self, tx: Tx) -> Selection:
        """Find what was named.

        Raises:
            ConsoleError: The time ends before it begins, or the actor cannot be read.
        """
        since, until = _in_utc(self.since), _in_utc(self.until)
        if since and until and since >= until:
            raise ConsoleError(
                f"nothing is after {since} and before {until}", next_step="Exchange --since and --until."
            )
        case = await find.case(tx, self.case) if self.case else None
        actor = await _actor(tx, self.actor) if self.actor else None
        return Selection(case=case, since=since, until=until, actor=actor)


@dataclass(frozen=True, kw_only=True)
class _File:
    """Where an export goes, and how."""

    out: Path | None
    format: FormatName
    resume: bool
    bom: bool
    personal: bool


async def export(
    *,
    which: Which = Which(),
    format: Annotated[FormatName, Parameter(help="What the lines look like.", show_default=True)] = "jsonl",  # noqa: A002
    out: Annotated[Path | None, Parameter(help="The file to write; else standard output.")] = None,
    resume: Annotated[
        bool, Parameter(negative=(), help="Go on with the export into --out that was interrupted, if there is one.")
    ] = False,
    bom: Annotated[bool, Parameter(negative=(), help="Begin a CSV as some spreadsheets want it.")] = False,
    bundle: Annotated[
        Path | None, Parameter(help="The zip to write instead: events, proofs, evidence and a verifier.")
    ] = None,
    no_evidence: Annotated[bool, Parameter(negative=(), help="Leave the files of evidence out of the bundle.")] = False,
    without_personal: Annotated[
        bool, Parameter(negative=(), help="Leave out what is personal; of a bundle: disclosures, report, evidence.")
    ] = False,
    call: Here,
) -> None:
    """Write the record, oldest event first: all of it, or that of a case, of a time, of an actor.

    Formats: `jsonl` is the record itself, byte for byte, the one that can be verified. `ocsf` (1.8.0) and `ecs` are
    JSON Lines for a SIEM, `cef` and `syslog` (RFC 5424) lines of text for one. `csv` is for a spreadsheet, `case-uco`
    the chain of custody of the evidence. Or `--bundle`: the record with its proofs, which anyone can verify.

    That you export is itself on record: it is the last line of every export, so a file without it is not whole. A file
    that is interrupted goes on with --resume and the same options.
    """
    file = _File(out=out, format=format, resume=resume, bom=bom, personal=not without_personal)
    _refuse_contradictions(which, file, bundle)
    async with call.store() as store:
        async with call.looking(store) as tx:
            person = await call.person(tx)
            by, selection = Actor.person(person), await which.selection(tx)
            hidden, rows = access.hidden_events(tx)
        if hidden and selection.case is None:
            if bundle is not None:
                raise NotForYou("a bundle is whole, and some cases are restricted to others")
            selection = replace(selection, without=hidden, without_rows=rows)
        if bundle is not None:
            kept = _Kept(evidence=not (no_evidence or without_personal), personal=not without_personal)
            await _write_bundle(store, bundle, selection.case, by, call, kept)
            return
        await _write(store, file, selection, by, call)


def _refuse_contradictions(which: Which, file: _File, bundle: Path | None) -> None:
    if bundle is not None and file.out is not None:
        raise ConsoleError("--out and --bundle are two kinds of export", next_step="give one of them")
    if bundle is not None and (file.format != "jsonl" or which.since or which.until or which.actor):
        step = "leave --format, --since, --until and --actor out, or write a file with --out"
        raise ConsoleError("a bundle holds the whole record, or that of one case, as JSON Lines", next_step=step)
    if file.resume and file.out is None:
        raise ConsoleError("only an export into a file goes on", next_step="name the file with --out")
    if file.bom and file.format != "csv":
        raise ConsoleError("--bom is for spreadsheets", next_step="give it with --format csv")


async def _write(store: CaseStore, file: _File, selection: Selection, by: Actor, call: Call) -> None:
    from case_store.audit.formats import FORMATS, csv
    from console import exporting

    form = FORMATS[file.format]
    async with store.reading() as tx:
        expected = await audit.last_id(tx) if selection == Selection() else None
    if file.out is None:
        with lines_to(None, call.printer.err, expected=expected) as sink:
            if file.bom:
                sink.write(csv.BOM)
            at, request, personal = call.now, call.request_id, file.personal
            await audit.export(
                store, sink, selection=selection, form=form, personal=personal, by=by, at=at, request_id=request
            )
        return
    head = (csv.BOM if file.bom else "") + form.begin()
    plan = exporting.Plan(selection, form, head, by, file.personal, expected)
    done = await exporting.to_file(store, file.out, plan, call, resume=file.resume)
    call.printer.say(f"{done.events} events written to {file.out}")


async def _actor(tx: Tx, name: str) -> Actor:
    """Return the actor that somebody names: a person by handle, or `kind:id` as listings show it."""
    kind, _, rest = name.partition(":")
    if kind not in _PARTS:
        return Actor.person(await find.person(tx, name))
    if not rest:
        raise ConsoleError(f"{name!r} names nobody", next_step="write a handle, or a part of the system: system:relay")
    return Actor.parse(name)


def _in_utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


@dataclass(frozen=True)
class _Kept:
    """What a bundle keeps besides events and proofs."""

    evidence: bool
    personal: bool


async def _write_bundle(store: CaseStore, out: Path, of: Case | None, by: Actor, call: Call, kept: _Kept) -> None:
    from case_store.audit import bundle, keys, sequencer, witnesses
    from case_store.blobs import Blobs
    from case_store.errors import NotTheLogsKey

    settings = call.settings
    signer = keys.load_or_create(settings.keys) if (settings.keys / keys.PRIVATE).exists() else None

    async def seal() -> None:
        if signer is not None:
            with suppress(NotTheLogsKey):  # a relay that has it seals
                await sequencer.seal(store, signer, call.now)

    report = partial(views.report, case=of, by=call.person_name, at=call.now) if of and kept.personal else None
    wanted = bundle.Wanted(of, Blobs(settings.blobs) if kept.evidence else None, report, kept.personal)
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
