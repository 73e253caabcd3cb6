"""`casewright case pause|resume|times|deadline`: the clocks of a case, and deadlines that others set."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from case_store import deadlines, find, pausing, views
from case_store.actor import Actor
from case_store.views import Duration
from console.call import Here
from console.moments import a_moment
from console.output import AsJson, Column
from console.text import seconds, words

deadline = App(name="deadline", help="Deadlines that a law or a contract sets. `case show` lists them.")

Number = Annotated[str, Parameter(help="Number of the case, such as 12.")]
Name = Annotated[str, Parameter(help="Name of the deadline, such as 'GDPR Art. 33'.")]
When = Annotated[datetime, Parameter(converter=a_moment, help="When (UTC where no zone is named).")]

DURATIONS = [
    Column[Duration]("Task", lambda one: one.name or "the whole case"),
    Column[Duration]("To acknowledge", lambda one: seconds(one.to_acknowledge), right=True),
    Column[Duration]("To close", lambda one: seconds(one.to_close), right=True),
    Column[Duration]("Working time", lambda one: seconds(one.worked), right=True),
    Column[Duration]("In time", lambda one: "late" if one.breached else ""),
]


async def pause(case: Number, /, *, reason: Annotated[str, Parameter(help="What it waits for.")], call: Here) -> None:
    """Let the clocks of a case stand still: nothing in it gets late. Deadlines that a law sets run on."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        new = await pausing.pause_case(tx, of, reason, by=Actor.person(person), at=call.now)
    call.printer.say(f"the clocks of CASE-{of.number} {'stand' if new else 'stood already'} still")


async def resume(case: Number, /, *, call: Here) -> None:
    """Let the clocks of a paused case go on; what was spent before counts."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        new = await pausing.resume_case(tx, of, by=Actor.person(person), at=call.now)
    call.printer.say(f"the clocks of CASE-{of.number} {'go on' if new else 'ran already'}")


async def times(case: Number, /, *, as_json: AsJson = False, call: Here) -> None:
    """Show how long the case and its tasks took: to be acknowledged, and to be closed."""
    async with call.reading() as tx:
        found = await views.durations(tx, await find.case(tx, case))
    call.printer.listing("times", found, DURATIONS, as_json=as_json, empty="no task was asked yet")


@deadline.command
async def meet(
    case: Number,
    name: Name,
    /,
    *,
    how: Annotated[str, Parameter(help="What was done, with the reference of the other side.")],
    at: When | None = None,
    call: Here,
) -> None:
    """Record that what a deadline demands was done."""
    async with call.writing() as (tx, person):
        of, when = await find.case(tx, case), _in_utc(at) if at else None
        row = await deadlines.meet(tx, of, name, how, person=person, when=when, by=Actor.person(person), at=call.now)
    late = " late" if row.met_at and row.met_at > row.due_at else ""
    call.printer.say(f"{row.name} of CASE-{of.number} is met{late}: {words(row.met_at)}, due {words(row.due_at)}")


@deadline.command
async def move(case: Number, name: Name, /, *, start: Annotated[When, Parameter(name="--from")], call: Here) -> None:
    """Let a deadline count from another moment: we became aware earlier, or later, than was thought."""
    async with call.writing() as (tx, person):
        of = await find.case(tx, case)
        row = await deadlines.move(tx, of, name, _in_utc(start), by=Actor.person(person), at=call.now)
    call.printer.say(f"{row.name} of CASE-{of.number} counts from {words(row.from_at)} and ends {words(row.due_at)}")


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
