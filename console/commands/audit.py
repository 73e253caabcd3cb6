"""`casewright audit`: read and export the record."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from case_store import audit, find
from case_store.actor import Actor
from case_store.audit import TrailEvent
from case_store.models import Person
from case_store.store import Tx
from console.call import Here
from console.files import lines_to
from console.output import AsJson, Column

app = App(name="audit", help="Read and export the record.")

OfCase = Annotated[str | None, Parameter(help="Only this case, by its number.")]


@app.command
async def tail(
    *,
    case: OfCase = None,
    count: Annotated[int, Parameter(name=["--count", "-n"], help="How many of the newest events.")] = 20,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Print the newest events of the record, oldest of them first."""
    async with call.reading() as tx:
        of = await find.case(tx, case) if case else None
        events = await audit.tail(tx, await audit.last_id(tx, of, before=count), of, count)
        names = {} if as_json else await _names(tx, events)
    if as_json:
        call.printer.json({"events": [{"id": event.id, **json.loads(event.body)} for event in events]})
        return
    columns = [
        Column[TrailEvent]("Id", lambda event: event.id, right=True, whole=True),
        Column[TrailEvent]("When", lambda event: event.at, whole=True),
        Column[TrailEvent]("What", lambda event: event.type),
        Column[TrailEvent]("Who", lambda event: names.get(event.actor, str(event.actor))),
        Column[TrailEvent]("Of", lambda event: event.stream),
    ]
    call.printer.listing("events", events, columns, as_json=False, empty="nothing is on record yet")


async def _names(tx: Tx, events: list[TrailEvent]) -> dict[Actor, str]:
    """Return the handles of the people in these events."""
    names: dict[Actor, str] = {}
    for actor in {event.actor for event in events if event.actor.kind == "person"}:
        person = await tx.session.get(Person, actor.id)
        if person is not None:
            names[actor] = person.handle
    return names


@app.command
async def export(
    *,
    case: OfCase = None,
    out: Annotated[Path | None, Parameter(help="The file to write; else standard output.")] = None,
    call: Here,
) -> None:
    """Write the record as JSON Lines, one event a line, oldest first.

    That you export is itself on record: it is the last line of the export.
    """
    async with call.store() as store:
        async with store.reading() as tx:
            by = Actor.person(await call.person(tx))
            of = await find.case(tx, case) if case else None
            expected = None if of else await audit.last_id(tx)
        with lines_to(out, call.printer.err, expected=expected) as sink:
            done = await audit.export(store, sink, of, by=by, at=call.now, request_id=call.request_id)
    if out is not None:
        call.printer.say(f"{done.events} events written to {out}")
