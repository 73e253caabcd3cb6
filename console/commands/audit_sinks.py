"""`casewright audit sinks`: where the record goes, and whether it arrives."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from case_store.actor import Actor
from console.call import Call, Here
from console.errors import NoSuchSink
from console.numbers import Place
from console.output import AsJson, Column
from console.text import numbered

if TYPE_CHECKING:
    from case_store.sinks.address import Address
    from case_store.sinks.listing import SinkRow

app = App(
    name="sinks",
    help="""See where the record goes, and whether it arrives.

CASEWRIGHT_FORWARD_TO names sinks for events, CASEWRIGHT_CHECKPOINT_TO sinks for checkpoints; both are URLs with blanks
between: file:///var/log/casewright.jsonl, syslog+tls://siem.example.org:6514?format=jsonl, mailto:auditor@example.org.
""",
)

Name = Annotated[str, Parameter(help="The sink, as the listing names it: events/siem.")]


@app.default
async def list_(*, as_json: AsJson = False, call: Here) -> None:
    """List the sinks: what each got, what waits for it, what went wrong and what to do."""
    from case_store.sinks.address import configured
    from case_store.sinks.listing import listing

    async with call.reading() as tx:
        rows = await listing(tx, configured(call.settings), call.now)
    columns = [
        Column["SinkRow"]("Sink", lambda row: row.name, whole=True),
        Column["SinkRow"]("Where", lambda row: row.url),
        Column["SinkRow"]("Next", lambda row: row.cursor, right=True, whole=True),
        Column["SinkRow"]("Behind", _behind, right=True, whole=True),
        Column["SinkRow"]("Last took", lambda row: row.last_ok_at, whole=True),
        Column["SinkRow"]("Trouble", lambda row: row.error),
    ]
    nothing = "the record goes nowhere: name sinks in CASEWRIGHT_FORWARD_TO and CASEWRIGHT_CHECKPOINT_TO"
    call.printer.listing("sinks", rows, columns, as_json=as_json, empty=nothing)
    if not as_json:
        for row in rows:
            if row.next_step:
                call.printer.say(f"{row.name}\n  next: {row.next_step}")


def _behind(row: "SinkRow") -> str:
    if row.waiting is None:
        return str(row.behind)
    return f"{row.behind}, {timedelta(seconds=int(row.waiting.total_seconds()))}"


@app.command
async def test(name: Name, *, call: Here) -> None:
    """Send one line that says of itself that it is a test; for a mail sink, promise the newest checkpoint.

    The cursor stays where it is. The line goes from this machine: a relay elsewhere may see another network.
    """
    import asyncio

    from case_store.sinks import mail
    from case_store.sinks.carriers import carrier
    from case_store.sinks.content import test_line

    address = _configured(call, name)
    if address.kind == "mailto":
        async with call.writing() as (tx, _):
            await mail.promise(tx, address, call.now, occasion=call.request_id)
        call.printer.say(f"the newest checkpoint is promised to {name}; a relay sends it: casewright audit sinks")
        return
    with call.printer.err.status(f"sending a line to {name}"):
        await asyncio.to_thread(carrier(address).deliver, [test_line(name, call.now)])
    without = " (UDP has no receipt: look there whether it came)" if address.kind == "syslog+udp" else ""
    call.printer.say(f"{name} took the line{without}")


@app.command
async def rewind(
    name: Name,
    *,
    to: Annotated[Place, Parameter(help="The place of the first event to deliver again, counted from 0.")],
    call: Here,
) -> None:
    """Deliver events once more, from one that was delivered before; that you did is on record."""
    from case_store.sinks import state

    async with call.writing() as (tx, person):
        again = await state.rewind(tx, name, to, by=Actor.person(person), at=call.now)
    call.printer.say(f"to {name} once more, from place {to} on: {numbered(again, 'event')}")


def _configured(call: Call, name: str) -> "Address":
    from case_store.sinks.address import configured

    addresses = {address.name: address for address in configured(call.settings)}
    if name not in addresses:
        there = ", ".join(sorted(addresses)) or "none"
        raise NoSuchSink(f"the settings name no sink {name}; there are: {there}")
    return addresses[name]
