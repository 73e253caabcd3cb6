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
from console.errors import ConsoleError, FileNotWritten
from console.exporting import refuse_existing
from console.files import counting_kinds, lines_to
from console.moments import a_moment
from console.text import numbered

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


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Into:
    """Where an export goes, and how."""

    format: Annotated[FormatName, Parameter(help="What the lines look like.", show_default=True)] = "jsonl"
    out: Annotated[Path | None, Parameter(help="The file to write; else standard output.")] = None
    bundle: Annotated[
        Path | None, Parameter(help="The zip to write instead: events, proofs, evidence and a verifier.")
    ] = None
    replace: Annotated[bool, Parameter(negative=(), help="Replace a file that is there already.")] = False
    resume: Annotated[
        bool, Parameter(negative=(), help="Go on with the export into --out that was interrupted, if there is one.")
    ] = False
    bom: Annotated[bool, Parameter(negative=(), help="Begin a CSV as some spreadsheets want it.")] = False
    no_evidence: Annotated[bool, Parameter(negative=(), help="Leave the files of evidence out of the bundle.")] = False
    without_personal: Annotated[
        bool, Parameter(negative=(), help="Leave out what is personal; of a bundle: disclosures, report, evidence.")
    ] = False


async def export(*, which: Which = Which(), into: Into = Into(), call: Here) -> None:
    """Write the record, oldest event first: all of it, or that of a case, of a time, of an actor.

    Formats: `jsonl` is the record itself, byte for byte, the one that can be verified. `ocsf` (1.8.0) and `ecs` are
    JSON Lines for a SIEM, `cef` and `syslog` (RFC 5424) lines of text for one. `csv` is for a spreadsheet, `case-uco`
    the chain of custody of the evidence. Or `--bundle`: the record with its proofs, which anyone can verify.

    That you export is itself on record: it is the last line of every export, so a file without it is not whole. A file
    that is interrupted goes on with --resume and the same options.
    """
    _refuse_contradictions(which, into)
    if (target := into.bundle or into.out) is not None:
        refuse_existing(target, replace=into.replace)
    async with call.store() as store:
        async with call.looking(store) as tx:
            person = await call.person(tx)
            by, selection = Actor.person(person), await which.selection(tx)
            hidden, rows = access.hidden_events(tx)
        if hidden and selection.case is None:
            if into.bundle is not None:
                raise NotForYou("a bundle is whole, and some cases are restricted to others")
            selection = replace(selection, without=hidden, without_rows=rows)
        if into.bundle is not None:
            await _write_bundle(store, into.bundle, into, selection.case, by, call)
            return
        await _write(store, into, selection, by, call)


def _refuse_contradictions(which: Which, into: Into) -> None:
    if into.bundle is not None and into.out is not None:
        raise ConsoleError("--out and --bundle are two kinds of export", next_step="give one of them")
    if into.bundle is not None and (into.format != "jsonl" or which.since or which.until or which.actor):
        step = "leave --format, --since, --until and --actor out, or write a file with --out"
        raise ConsoleError("a bundle holds the whole record, or that of one case, as JSON Lines", next_step=step)
    if into.no_evidence and into.bundle is None:
        raise ConsoleError("only a bundle has files of evidence", next_step="leave --no-evidence out, or give --bundle")
    if into.replace and into.bundle is None and into.out is None:
        raise ConsoleError("there is no file to replace", next_step="name it with --out or --bundle")
    if into.resume and into.out is None:
        raise ConsoleError("only an export into a file goes on", next_step="name the file with --out")
    if into.bom and into.format != "csv":
        raise ConsoleError("--bom is for spreadsheets", next_step="give it with --format csv")


async def _write(store: CaseStore, into: Into, selection: Selection, by: Actor, call: Call) -> None:
    from case_store.audit.formats import FORMATS, csv
    from console import exporting

    form, personal = FORMATS[into.format], not into.without_personal
    async with store.reading() as tx:
        expected = await audit.last_id(tx) if selection == Selection() else None
    if into.out is None:
        with lines_to(None, call.printer.err, expected=expected) as sink:
            if into.bom:
                sink.write(csv.BOM)
            at, request = call.now, call.request_id
            await audit.export(
                store, sink, selection=selection, form=form, personal=personal, by=by, at=at, request_id=request
            )
        return
    head = (csv.BOM if into.bom else "") + form.begin()
    plan = exporting.Plan(selection, form, head, by, personal, expected)
    done = await exporting.to_file(store, into.out, plan, call, resume=into.resume)
    call.printer.say(f"{numbered(done.events, 'event')} written to {into.out}")


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


async def _write_bundle(store: CaseStore, out: Path, into: Into, of: Case | None, by: Actor, call: Call) -> None:
    from case_store.audit import bundle, keys, sequencer, witnesses
    from case_store.blobs import Blobs
    from case_store.errors import NotTheLogsKey

    settings, personal = call.settings, not into.without_personal
    evidence = personal and not into.no_evidence
    signer = keys.load_or_create(settings.keys) if (settings.keys / keys.PRIVATE).exists() else None

    async def seal() -> None:
        if signer is not None:
            with suppress(NotTheLogsKey):  # a relay that has it seals
                await sequencer.seal(store, signer, call.now)

    report = partial(views.report, case=of, by=call.person_name, at=call.now) if of and personal else None
    wanted = bundle.Wanted(of, Blobs(settings.blobs) if evidence else None, report, personal)
    wait = bundle.Wait(witnesses=tuple(one.key for one in witnesses.parse_all(settings.witnesses)))
    async with store.reading() as tx:
        expected = await audit.last_id(tx) if of is None else None
    try:
        with counting_kinds(call.printer.err, "waiting for the seal", {"events": expected}) as wrote:
            done = await bundle.write(
                store, out, wanted, by=by, at=call.now, seal=seal, wait=wait, request_id=call.request_id, wrote=wrote
            )
    except OSError as error:
        raise FileNotWritten(f"{out} cannot be written: {error.strerror}") from error
    kept_files = numbered(done.evidence.written, "file of evidence", "files of evidence")
    call.printer.say(f"{numbered(done.events, 'event')} and {kept_files} written to {out}")
    for digest in done.evidence.missing:
        call.printer.warn(f"the evidence {digest} is not on the disk, or cannot be read: it is not in the bundle")
    for digest in done.evidence.altered:
        call.printer.warn(f"the evidence {digest} has another content on the disk: a verifier will call it altered")
    for name in done.unwitnessed:
        call.printer.warn(f"the witness {name} has not confirmed its checkpoint: see `casewright audit status`")
    call.printer.say(f"verify it with: casewright audit verify {out} --key {settings.keys / keys.PUBLIC}")
