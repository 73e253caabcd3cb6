"""`casewright person`: erase somebody, or keep them from being erased."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from case_store import absence, find, privacy
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.privacy import Traces
from console.call import Call, Here
from console.commands.privacy_options import Basis, DryRun, Ticket, Yes
from console.commands.retention import forget
from console.confirm import confirm
from console.moments import a_moment
from console.output import AsJson
from console.text import words

app = App(name="person", help="Say who is out of office; erase what is personal about somebody, or hold it.")

Handle = Annotated[str, Parameter(help="Handle or e-mail address.")]


@app.command
async def erase(
    handle: Handle,
    /,
    *,
    basis: Basis,
    ticket: Ticket = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Erase a person: name, addresses and handle go, a pseudonym stays. It cannot be taken back.

    What the audit trail says of them is no longer disclosed; its chain, its tree and all bundles that were exported
    still verify. Refused while a legal hold keeps them or a case they appear in, or while they own open work.
    """
    found = await _look(call, handle)
    if dry_run:
        _tell(call, "would be erased", found, as_json=as_json)
        return
    if not yes:
        confirm(call.printer, f"{handle} is erased for good: {found.disclosures} values in the record, and more.")
    async with call.writing(whole=True) as (tx, by):
        person = await find.person(tx, handle)
        done = await privacy.erase_person(tx, person, basis=basis, ticket=ticket, by=Actor.person(by), at=call.now)
    await forget(Blobs(call.settings.blobs), done.files)
    if done.already and not as_json:
        call.printer.say(f"{done.handle} was erased before; nothing is left to erase")
        return
    _tell(call, f"erased; what is left is called {done.handle}", done.traces, as_json=as_json)


async def _look(call: Call, handle: str) -> Traces:
    async with call.reading() as tx:
        await call.person(tx)
        person = await find.person(tx, handle)
        await privacy.refuse_kept(tx, person)
        return await privacy.traces(tx, person)


def _tell(call: Call, what: str, found: Traces, *, as_json: bool) -> None:
    if as_json:
        call.printer.json({"done": what, "traces": found})
        return
    call.printer.say(
        f"{what}: {found.disclosures} values in the record, the name in {found.signed_tasks} signed tasks,"
        f" {found.messages} messages, {found.replies} answers of theirs"
    )
    if found.clear_events:
        call.printer.warn(
            f"{found.clear_events} older events hold the name or an address in clear: they are from before values were"
            " committed to, and cannot be erased without breaking the record.\n"
            "  next: limit who may read the database and its exports; see docs/howto/erase.md"
        )
    if found.named_by_sops:
        call.printer.warn(
            f"{found.named_by_sops} tasks have an owner rule that names the handle, as the SOP of their case does: an"
            " SOP is kept as it was.\n  next: let SOPs name roles (role:ROLE), not people"
        )


@app.command
async def hold(handle: Handle, /, *, reason: Annotated[str, Parameter(help="Why.")], call: Here) -> None:
    """Keep a person from being erased, until the hold is released."""
    async with call.writing() as (tx, by):
        person = await find.person(tx, handle)
        await privacy.hold_person(tx, person, reason, by=Actor.person(by), at=call.now)
    call.printer.say(f"{person.handle} is under a legal hold")


@app.command
async def release(handle: Handle, /, *, call: Here) -> None:
    """End the legal hold of a person."""
    async with call.writing() as (tx, by):
        person = await find.person(tx, handle)
        done = await privacy.release_person(tx, person, by=Actor.person(by), at=call.now)
    call.printer.say(f"the hold of {person.handle} has ended" if done else f"{person.handle} was under no hold")


@app.command
async def away(
    handle: Handle,
    /,
    *,
    until: Annotated[
        datetime | None, Parameter(converter=a_moment, help="When they are back (UTC where no zone is named).")
    ] = None,
    start: Annotated[
        datetime | None, Parameter(converter=a_moment, name="--from", help="When they go; else now.")
    ] = None,
    deputy: Annotated[str | None, Parameter(help="Who stands in, and is told in their place.")] = None,
    call: Here,
) -> None:
    """Record that somebody is out of office. Without a deputy, messages go to them all the same."""
    async with call.writing() as (tx, by):
        person, at = await find.person(tx, handle), call.now
        stands_in = await find.person(tx, deputy) if deputy else None
        begins, ends = _in_utc(start) or at, _in_utc(until)
        await absence.set_away(tx, person, start=begins, until=ends, deputy=stands_in, by=Actor.person(by), at=at)
    instead = f"; {stands_in.handle} stands in" if stands_in else ""
    call.printer.say(f"{person.handle} is away from {words(begins)} until {words(ends) or 'further notice'}{instead}")


@app.command
async def back(handle: Handle, /, *, call: Here) -> None:
    """Record that somebody is in the office again, or does not go."""
    async with call.writing() as (tx, by):
        person = await find.person(tx, handle)
        done = await absence.set_back(tx, person, by=Actor.person(by), at=call.now)
    call.printer.say(f"{person.handle} is back" if done else f"{person.handle} was not away")


def _in_utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
