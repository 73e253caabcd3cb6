"""`casewright outbox`: look at the messages, send one again, take one back."""

from typing import Annotated

from cyclopts import App, Parameter

from case_store import find, outbox
from case_store.actor import Actor
from case_store.views.messages import MessageRow, messages
from console.call import Here
from console.output import AsJson, Column

app = App(name="outbox", help="Look at the messages to people, send one again, take one back.")

Id = Annotated[str, Parameter(help="The message's id, or the first characters of it.")]

_BAD = {"dead": "red", "unknown": "yellow"}
_COLUMNS = [
    Column[MessageRow]("Message", lambda row: row.id, whole=True),
    Column[MessageRow]("Case", lambda row: row.case_number, right=True),
    Column[MessageRow]("About", lambda row: row.template),
    Column[MessageRow]("By", lambda row: row.channel),
    Column[MessageRow]("To", lambda row: row.recipient),
    Column[MessageRow]("State", lambda row: row.state, style=lambda row: _BAD.get(row.state, "")),
    Column[MessageRow]("Tries", lambda row: row.attempts, right=True),
    Column[MessageRow]("Next try", lambda row: row.next_at, whole=True),
    Column[MessageRow]("Why", lambda row: row.error),
]


@app.command(name="list")
async def list_(
    *,
    state: Annotated[
        str | None,
        Parameter(help="Only those in this state: pending, leased, sent, delivered, unknown, dead, cancelled."),
    ] = None,
    case: Annotated[str | None, Parameter(help="Only those about this case.")] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """List messages: what reached nobody first, then what waits, then the newest."""
    async with call.reading() as tx:
        about = await find.case(tx, case) if case is not None else None
        rows = await messages(tx, state=state, case=about)
    call.printer.listing("messages", rows, _COLUMNS, as_json=as_json, empty="no such messages")


@app.command
async def retry(message: Id, /, *, call: Here) -> None:
    """Send a message again that is dead, cancelled or unknown; one that is unknown may then arrive twice."""
    async with call.writing() as (tx, person):
        done = await outbox.retry(tx, message, by=Actor.person(person), at=call.now)
        said = f"message {done.id} goes out again by {done.channel}"
    call.printer.say(said)


@app.command
async def cancel(
    message: Id, /, *, reason: Annotated[str, Parameter(help="Why; it goes on record.")], call: Here
) -> None:
    """Take back a message that waits, or close the matter of one that is dead or unknown."""
    async with call.writing() as (tx, person):
        done = await outbox.cancel(tx, message, reason, by=Actor.person(person), at=call.now)
        said = f"message {done.id} is cancelled"
    call.printer.say(said)
