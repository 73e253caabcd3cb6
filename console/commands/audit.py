"""`casewright audit`: read and export the record."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from cyclopts import App, Parameter

from case_store import audit, find, views
from case_store.actor import Actor
from case_store.audit import TrailEvent
from case_store.store import Tx
from console.call import Here
from console.files import lines_to
from console.output import AsJson, Column
from console.text import moment

app = App(name="audit", help="Read and export the record.")

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
