"""`casewright case`: open cases, look at them, add to them, end them."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from case_store import access, cases, evidence, find, notes, privacy, views
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.models import Severity
from case_store.views import CaseRow
from console.call import Here
from console.commands import case_times
from console.commands.privacy_options import Basis, Ticket, Yes, erased
from console.confirm import confirm
from console.files import chunks
from console.library import library
from console.output import AsJson, Column
from console.pages import TIMELINE, show_case

app = App(name="case", help="Open cases, look at them, add to them, end them. A case is named by its number.")


for _command in (case_times.pause, case_times.resume, case_times.times, case_times.deadline):
    app.command(_command)


@app.command(name="open")
async def open_(
    *,
    sop: Annotated[str, Parameter(help="Key of the SOP it runs by; see `casewright sop list`.")],
    title: Annotated[str, Parameter(help="One line that says what happened.")],
    severity: Annotated[Severity | None, Parameter(help="Else the alert's, else the SOP's.")] = None,
    alert: Annotated[str | None, Parameter(help="Id of the alert it is about.")] = None,
    owner: Annotated[str | None, Parameter(help="Who owns it; else the SOP says.")] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Open a case. Its tasks begin as soon as a worker runs."""
    loaded = library(call).get(sop)
    async with call.writing() as (tx, person):
        case = await cases.open_case(
            tx,
            loaded,
            title,
            severity,
            alert=await find.alert(tx, alert) if alert else None,
            owner=await find.person(tx, owner) if owner else None,
            by=Actor.person(person),
            at=call.now,
        )
    if as_json:
        call.printer.json({"id": case.id, "number": case.number, "title": case.title, "severity": case.severity})
    else:
        call.printer.say(f"opened CASE-{case.number}: {case.title}")


_COLUMNS = [
    Column[CaseRow]("Case", lambda row: row.number, right=True, whole=True),
    Column[CaseRow]("Title", lambda row: row.title, wide=True),
    Column[CaseRow]("Severity", lambda row: row.severity, whole=True),
    Column[CaseRow]("State", lambda row: row.state, whole=True),
    Column[CaseRow]("SOP", lambda row: row.sop_key),
    Column[CaseRow]("Owner", lambda row: row.owner),
    Column[CaseRow]("Waiting", lambda row: row.open_tasks or None, right=True),
    Column[CaseRow]("Opened", lambda row: row.opened_at, whole=True),
]


@app.command(name="list")
async def list_(
    *,
    state: Annotated[
        Literal["open", "closed", "cancelled", "all"], Parameter(help="Which cases.", show_default=True)
    ] = "open",
    as_json: AsJson = False,
    call: Here,
) -> None:
    """List cases, the newest first."""
    async with call.reading() as tx:
        rows = await views.cases(tx, state=None if state == "all" else state)
    call.printer.listing("cases", rows, _COLUMNS, as_json=as_json, empty="no such cases")


Number = case_times.Number
Reason = Annotated[str, Parameter(help="Why, for the record.")]


@app.command
async def show(case: Number, /, *, as_json: AsJson = False, call: Here) -> None:
    """Show one case: stages and tasks, alerts, evidence, observables, notes."""
    async with call.reading() as tx:
        page = await views.case(tx, case)
    if as_json:
        call.printer.json(page)
    else:
        show_case(call.printer, page)


@app.command
async def timeline(case: Number, /, *, as_json: AsJson = False, call: Here) -> None:
    """Show what happened in a case, oldest first."""
    async with call.reading() as tx:
        rows = await views.timeline(tx, await find.case(tx, case))
    call.printer.listing("timeline", rows, TIMELINE, as_json=as_json, empty="nothing has happened yet")


@app.command
async def note(
    case: Number,
    text: Annotated[str, Parameter(help="The note, in Markdown.")],
    /,
    *,
    task: Annotated[str | None, Parameter(help="Key of the task it is about.")] = None,
    call: Here,
) -> None:
    """Write a note into a case."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        about = await find.task_of(tx, of, task) if task else None
        await notes.add(tx, of, text, task=about, author=person, by=Actor.person(person), at=call.now)
    call.printer.say(f"noted in CASE-{of.number}")


@app.command
async def attach(
    case: Number,
    file: Annotated[Path, Parameter(help="The file.")],
    /,
    *,
    task: Annotated[str | None, Parameter(help="Key of the task it belongs to.")] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Attach a file as evidence; it is kept under its SHA-256 and never changed."""
    async with call.reading() as tx:  # refused before much is copied
        await find.case(tx, case)
        await call.person(tx)
    blobs = Blobs(call.settings.blobs)
    stored = await blobs.put(chunks(file, call.printer.err))
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        kept = await evidence.attach(
            tx,
            of,
            blobs,
            name=file.name,
            content=stored,
            task=await find.task_of(tx, of, task) if task else None,
            by=Actor.person(person),
            at=call.now,
        )
    if as_json:
        call.printer.json({"id": kept.id, "name": kept.name, "sha256": kept.sha256, "size": kept.size})
    else:
        call.printer.say(f"attached {kept.name} to CASE-{of.number} ({kept.size} bytes, SHA-256 {kept.sha256})")


@app.command
async def close(
    case: Number,
    /,
    *,
    resolution: Annotated[str, Parameter(help="How the matter ended.")],
    call: Here,
) -> None:
    """Close a case; refused while tasks are open that the SOP makes mandatory."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        await cases.close(tx, of, resolution, by=Actor.person(person), at=call.now)
    call.printer.say(f"CASE-{of.number} is closed")


@app.command
async def cancel(case: Number, /, *, reason: Reason, call: Here) -> None:
    """Cancel a case: its open tasks are cancelled with it."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        await cases.cancel(tx, of, reason, by=Actor.person(person), at=call.now)
    call.printer.say(f"CASE-{of.number} is cancelled")


@app.command
async def reopen(case: Number, /, *, reason: Reason, call: Here) -> None:
    """Open a closed or cancelled case again; what was cancelled waits again."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        await cases.reopen(tx, of, reason, by=Actor.person(person), at=call.now)
    call.printer.say(f"CASE-{of.number} is open again")


@app.command
async def hold(case: Number, /, *, reason: Reason, call: Here) -> None:
    """Keep a case, and everybody who appears in it, from being erased, until the hold is released."""
    async with call.writing() as (tx, person):
        of = await privacy.hold_case(tx, await find.case(tx, case), reason, by=Actor.person(person), at=call.now)
    call.printer.say(f"CASE-{of.number} is under a legal hold")


@app.command
async def release(case: Number, /, *, call: Here) -> None:
    """End the legal hold of a case."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        done = await privacy.release_case(tx, of, by=Actor.person(person), at=call.now)
    call.printer.say(f"the hold of CASE-{of.number} has ended" if done else f"CASE-{of.number} was under no hold")


@app.command
async def restrict(
    case: Number,
    /,
    *,
    to: Annotated[str, Parameter(help="Who may see it, separated by commas: handles, and roles as role:KEY.")],
    reason: Reason,
    call: Here,
) -> None:
    """Let only some people see a case; others meet it as little as one that does not exist.

    Its owner, you, and whoever has the role auditor see it, too. Messages about it say no more than where to look, and
    who looks at it is on record.
    """
    async with call.writing() as (tx, person):
        names = [name.strip() for name in to.split(",") if name.strip()]
        named = [
            name.removeprefix("role:") if name.startswith("role:") else await find.person(tx, name) for name in names
        ]
        of = await access.restrict(tx, await find.case(tx, case), named, reason, by=Actor.person(person), at=call.now)
    call.printer.say(
        f"CASE-{of.number} is restricted now: {', '.join(names)} may see it, and its owner, you and auditors"
    )


@app.command
async def unrestrict(case: Number, /, *, reason: Reason, call: Here) -> None:
    """Let everybody see a case again."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        done = await access.unrestrict(tx, of, reason, by=Actor.person(person), at=call.now)
    call.printer.say(f"everybody may see CASE-{of.number}" + ("" if done else "; it was not restricted"))


@app.command
async def redact(
    case: Number,
    row: Annotated[str, Parameter(help="Id of a note, task, alert, observable, execution or piece of evidence.")],
    /,
    *,
    basis: Basis,
    ticket: Ticket = None,
    yes: Yes = False,
    call: Here,
) -> None:
    """Erase what somebody wrote, or what came in: the text, all its wordings, the bytes. It cannot be taken back.

    That it was there, by whom and when stays on record; ids are in `casewright case show NUMBER --json`.
    """
    if not yes:
        confirm(call.printer, f"The content of {row} is erased for good.")
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        by, at = Actor.person(person), call.now
        done = await privacy.redact(tx, of, row, basis=basis, ticket=ticket, by=by, at=at)
    blobs = Blobs(call.settings.blobs)
    files = sum([await blobs.forget(digest) for digest in done.files])
    call.printer.say(f"erased: {erased(done.disclosures, files)}")
