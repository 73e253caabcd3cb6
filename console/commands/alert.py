"""`casewright alert`: send alerts in, and look at them."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Self

from cyclopts import App, Parameter

from case_store import access, alerts, find, privacy, views
from case_store.actor import Actor
from case_store.alert_formats import Shape
from case_store.blobs import Blobs
from case_store.refusals import NotFound
from case_store.store import Tx
from case_store.views import AlertRow
from console.call import Here
from console.commands.privacy_options import Basis, Ticket, Yes, erased
from console.confirm import confirm
from console.files import Input, read_bytes
from console.intake import TakenIn, take_in
from console.library import library
from console.output import AsJson, Column

app = App(name="alert", help="Send alerts in, and look at them.")

_MAX_FILE = 64 * 1024 * 1024


@app.command
async def send(
    file: Annotated[Input, Parameter(help="JSON: one alert, a list of them, or one a line; `-` reads standard input.")],
    /,
    *,
    shape: Annotated[Shape, Parameter(help="How the file is written; `auto` looks.", show_default=True)] = "auto",
    no_case: Annotated[bool, Parameter(help="Store it only, whatever the SOPs say.")] = False,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Send in an alert from a file; the SOP it matches opens a case."""
    raw = read_bytes(file, _MAX_FILE)
    sops = () if no_case else library(call).sops.values()
    async with call.writing(whole=True) as (tx, person):  # a repeat counts, whoever may see its case
        blobs = Blobs(call.settings.blobs)
        by = Actor.person(person)
        taken = await take_in(tx, raw, shape, blobs=blobs, sops=sops, by=by, at=call.now)
        await access.read_as(tx, person, looks=False)
        done = [await Sent.of(tx, one) for one in taken]
    if as_json:
        call.printer.json({"alerts": done})
        return
    for one in done:
        call.printer.say(one.sentence())


@dataclass(frozen=True)
class Sent:
    """What became of one alert that was sent in."""

    id: str
    source: str
    source_ref: str
    title: str
    new: bool
    repeats: int
    case: int | None
    """Number of the case it belongs to."""
    opened: bool
    """Whether that case was opened for it now."""
    matching: tuple[str, ...]
    """Keys of the SOPs that want it; the first opened the case."""

    @classmethod
    async def of(cls, tx: Tx, taken: TakenIn) -> Self:
        """Take what is said about an alert that was taken in."""
        alert, opened = taken.alert, taken.case
        case = opened
        if case is None and alert.case_id:
            with suppress(NotFound):  # theirs is not to know
                case = await find.case(tx, alert.case_id)
        about = (alert.id, alert.source, alert.source_ref, alert.title, taken.new, alert.repeats)
        return cls(*about, case.number if case else None, opened is not None, taken.matching)

    def sentence(self) -> str:
        """Say it to a person."""
        seen = "" if self.new else f" (seen before, repeat {self.repeats})"
        words = f"{self.source} {self.source_ref}: {self.title}{seen}\n  "
        if self.case is None:
            return f"{words}stored as {self.id}; no SOP was asked, or none wants it: no case"
        if not self.opened:
            return f"{words}belongs to CASE-{self.case}"
        also = f"; it also matches {', '.join(self.matching[1:])}" if self.matching[1:] else ""
        return f"{words}opened CASE-{self.case} by SOP {self.matching[0]}{also}"


_COLUMNS = [
    Column[AlertRow]("Received", lambda row: row.received_at, whole=True),
    Column[AlertRow]("Source", lambda row: row.source),
    Column[AlertRow]("Severity", lambda row: row.severity),
    Column[AlertRow]("Title", lambda row: row.title, wide=True),
    Column[AlertRow]("Repeats", lambda row: row.repeats or None, right=True),
    Column[AlertRow]("Case", lambda row: row.case_number, right=True, whole=True),
    Column[AlertRow]("Id", lambda row: row.id),
]


@app.command(name="list")
async def list_(*, as_json: AsJson = False, call: Here) -> None:
    """List the alerts, the newest first."""
    async with call.reading() as tx:
        rows = await views.alerts(tx)
    call.printer.listing("alerts", rows, _COLUMNS, as_json=as_json, empty="no alert has come in yet")


@app.command
async def show(
    alert: Annotated[str, Parameter(help="The alert's id.")], /, *, as_json: AsJson = False, call: Here
) -> None:
    """Show one alert with everything its source said."""
    async with call.reading() as tx:
        found = await find.alert(tx, alert)
        case = await find.case(tx, found.case_id) if found.case_id else None
    facts = {**alerts.facts(found), "case": case.number if case else None}
    if as_json:
        call.printer.json(facts)
        return
    fields = json.dumps(facts.pop("fields"), indent=2, ensure_ascii=True)
    call.printer.facts({name.replace("_", " ").capitalize(): value for name, value in facts.items()})
    call.printer.say(fields)


@app.command
async def redact(
    alert: Annotated[str, Parameter(help="The alert's id.")],
    /,
    *,
    basis: Basis,
    ticket: Ticket = None,
    yes: Yes = False,
    call: Here,
) -> None:
    """Erase what an alert says that belongs to no case, and its bytes. It cannot be taken back.

    It stays known by its source and reference, so that it is counted when it comes again.
    """
    if not yes:
        confirm(call.printer, f"The content of {alert} is erased for good.")
    async with call.writing() as (tx, person):
        found, by = await find.alert(tx, alert), Actor.person(person)
        done = await privacy.erase_alert(tx, found, basis=basis, ticket=ticket, by=by, at=call.now)
    blobs = Blobs(call.settings.blobs)
    files = sum([await blobs.forget(digest) for digest in done.files])
    call.printer.say(f"erased: {erased(done.disclosures, files)}")
