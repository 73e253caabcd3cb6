"""`casewright people`: bring people in, and list them."""

from typing import Annotated

from cyclopts import App, Parameter

from case_store import people, views
from case_store.actor import Actor
from case_store.store import Tx
from case_store.views import PersonRow
from console.call import Call, Here
from console.errors import NotAPerson
from console.files import Input, read_bytes
from console.library import library
from console.output import AsJson, Column

app = App(name="people", help="Bring people in, and list them.")

_MAX_LIST = 5 * 1024 * 1024


@app.command(name="import")
async def import_(
    file: Annotated[Input, Parameter(help="The list; `-` reads standard input.")], /, *, call: Here
) -> None:
    """Bring people in from a CSV file, or change those that are there; nobody is removed.

    Columns: handle, name, email, phone, manager, roles (several with `;` between), time_zone,
    language (of messages to them: en, de, de-CH).
    """
    rows = people.parse_csv(read_bytes(file, _MAX_LIST).decode("utf-8", "replace"))
    async with call.store() as store, store.transaction(call.request_id) as tx:
        done = await people.import_(tx, rows, library(call).roles.keys(), by=await _importer(tx, call), at=call.now)
    said = (("new", done.new), ("changed", done.changed), ("unchanged", done.unchanged))
    call.printer.say(", ".join(f"{len(handles)} {word}" for word, handles in said))


async def _importer(tx: Tx, call: Call) -> Actor:
    """Return who imports; the very first list is brought in by nobody yet."""
    try:
        return Actor.person(await call.person(tx))
    except NotAPerson:
        if await views.people(tx):
            raise
        return Actor.system("first-import")


_COLUMNS = [
    Column[PersonRow]("Handle", lambda row: row.handle),
    Column[PersonRow]("Name", lambda row: row.name),
    Column[PersonRow]("E-mail", lambda row: row.email),
    Column[PersonRow]("Phone", lambda row: row.phone, whole=True),
    Column[PersonRow]("Manager", lambda row: row.manager),
    Column[PersonRow]("Roles", lambda row: row.roles),
]


@app.command(name="list")
async def list_(*, as_json: AsJson = False, call: Here) -> None:
    """List the people."""
    async with call.reading() as tx:
        rows = await views.people(tx)
    call.printer.listing(
        "people", rows, _COLUMNS, as_json=as_json, empty="nobody is here yet; see: casewright people import FILE.csv"
    )
