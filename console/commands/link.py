"""`casewright link`: look at the links in messages, take them back, sign with a new key."""

from typing import Annotated

from cyclopts import App, Parameter

from case_store import find, links
from case_store.actor import Actor
from case_store.views.links import LinkRow, links_of
from console.call import Here
from console.output import AsJson, Column

app = App(name="link", help="Look at the links by which people answer, take them back, sign with a new key.")

CaseArg = Annotated[str, Parameter(help="The case's number.")]

_COLUMNS = [
    Column[LinkRow]("Task", lambda row: row.task),
    Column[LinkRow]("For", lambda row: row.person),
    Column[LinkRow]("By", lambda row: row.channel),
    Column[LinkRow]("Allows", lambda row: ", ".join(row.decisions)),
    Column[LinkRow]("Sent", lambda row: row.minted_at, whole=True),
    Column[LinkRow]("Ends", lambda row: row.expires_at, whole=True),
    Column[LinkRow]("State", lambda row: row.state),
]


@app.command(name="list")
async def list_(case: CaseArg, /, *, as_json: AsJson = False, call: Here) -> None:
    """List the links that were sent about a case; the links themselves are not on record."""
    async with call.reading() as tx:
        rows = await links_of(tx, await find.case(tx, case), call.now)
    call.printer.listing("links", rows, _COLUMNS, as_json=as_json, empty="no link was sent")


@app.command
async def revoke(
    case: CaseArg,
    task: Annotated[str, Parameter(help="The task's key.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it goes on record.")],
    call: Here,
) -> None:
    """Take back all links to a task that can still be used."""
    async with call.writing() as (tx, person):
        about = await find.task_of(tx, await find.case(tx, case), task)
        count = await links.revoke(tx, about, reason, by=Actor.person(person), at=call.now)
    call.printer.say(f"{count} links are taken back" if count != 1 else "1 link is taken back")


@app.command(name="new-key")
def new_key(*, call: Here) -> None:
    """Have a new key sign links from now on; those that were sent still work.

    Restart relay and web afterwards. Take the old line out of the file when the old links have expired.
    """
    from case_store.links.keys import add_key

    call.printer.say(f"a new key signs: {add_key(call.settings.keys)}; now restart relay and web")
