"""`casewright audit`: read and export the record."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from case_store import access, audit, find
from case_store.audit import TrailEvent, private
from case_store.audit.fold import Folded
from case_store.audit.names import KnownNames
from case_store.errors import NotSealed
from console.call import Here
from console.commands.audit_export import OfCase, export
from console.commands.audit_verify import verify
from console.moments import a_moment
from console.numbers import Count, Nth
from console.output import AsJson, Column
from console.text import moment

app = App(name="audit", help="Read and export the record.")
app.command("console.commands.audit_sinks:app", name="sinks", help="See where the record goes, and whether it arrives.")

app.command("console.commands.audit_key:app", name="key", help="Print the public key of the record, or change the key.")
app.command(
    "console.commands.audit_status:status", name="status", help="Say what waits to be sealed, and who has confirmed it."
)


@app.command
async def tail(
    *,
    case: OfCase = None,
    count: Annotated[
        Count, Parameter(name=["--count", "-n"], help="How many of the newest events.", show_default=True)
    ] = 20,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Print the newest events of the record, oldest of them first."""
    async with call.reading() as tx:
        of = await find.case(tx, case) if case else None
        events = await audit.tail(tx, await audit.last_id(tx, of, before=count), of, count)
        names = await KnownNames().of(tx, [(event.stream, event.actor) for event in events])
        await access.saw(tx, events)
        bodies = await private.read(tx, [event.body for event in events]) if as_json else []
    if as_json:
        call.printer.json({"events": [{"id": event.id, **body} for event, body in zip(events, bodies, strict=True)]})
        return
    columns = [
        Column[TrailEvent]("Id", lambda event: event.id, right=True, whole=True),
        Column[TrailEvent]("When", lambda event: moment(event.at), whole=True),
        Column[TrailEvent]("What", lambda event: event.type),
        Column[TrailEvent]("Who", lambda event: names.actor(event.actor.kind, event.actor.id)),
        Column[TrailEvent]("Of", lambda event: names.stream(event.stream)),
    ]
    call.printer.listing("events", events, columns, as_json=False, empty="nothing is on record yet")


app.command(export)
app.command(verify)


@app.command
async def replay(
    *,
    case: Annotated[str, Parameter(help="The case, by its number.")],
    at: Annotated[
        datetime | None, Parameter(converter=a_moment, help="As it was then (UTC where no zone is named).")
    ] = None,
    seq: Annotated[Nth | None, Parameter(help="As it was after its event of this number.")] = None,
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
            call.printer.say(f"CASE-{row.values['number']}  {row.values['title']}\n{told} · after event {last}")
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
    async with call.whole() as tx:
        newest = await audit.newest_checkpoint(tx)
    if newest is None:
        raise NotSealed("nothing is signed yet")
    call.printer.out.file.write(newest.note)
