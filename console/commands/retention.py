"""`casewright retention`: erase what is personal in cases that ended long ago."""

import re
from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter

from case_store import privacy
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.models import Case
from case_store.store import CaseStore
from console.call import Call, Here
from console.commands.privacy_options import DryRun, Yes
from console.confirm import confirm
from console.errors import ConsoleError
from console.output import AsJson, Column
from console.text import moment

app = App(name="retention", help="Erase what is personal in cases that ended long ago.")

_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


@app.command
async def run(
    *,
    older_than: Annotated[
        str | None, Parameter(help="How long a case must have ended: 90d, 12w, 3y; default: CASEWRIGHT_RETENTION.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Erase texts, alerts, observables and evidence of cases that ended long ago; never of those under a legal hold.

    Each case is a transaction of its own: who interrupts it runs it again. Who decided what stays on record.
    """
    period = older_than or call.settings.retention
    if period is None:
        raise ConsoleError("nobody says how old is old", next_step="Give --older-than 3y, or set CASEWRIGHT_RETENTION.")
    async with call.store() as store:
        async with store.reading() as tx:
            by = Actor.person(await call.person(tx))
            found = await privacy.due(tx, call.now - age(period))
        held = [case for case in found if case.legal_hold is not None]
        wanted = [case for case in found if case.legal_hold is None]
        if dry_run:
            call.printer.listing("cases", found, _COLUMNS, as_json=as_json, empty=f"no case ended over {period} ago")
            return
        if wanted and not yes:
            confirm(call.printer, f"{len(wanted)} cases that ended over {period} ago are erased for good.")
        files = await _erase(store, wanted, f"retention: ended over {period} ago", by, call)
    if as_json:
        call.printer.json({"erased": [one.number for one in wanted], "held": [one.number for one in held]})
        return
    call.printer.say(f"{len(wanted)} cases and {files} files of evidence erased; {len(held)} kept by a legal hold")


_COLUMNS = [
    Column[Case]("Case", lambda case: case.number, right=True),
    Column[Case]("Ended", lambda case: moment(case.closed_at) if case.closed_at else None, whole=True),
    Column[Case]("Kept by a legal hold", lambda case: case.legal_hold),
]


async def _erase(store: CaseStore, cases: list[Case], basis: str, by: Actor, call: Call) -> int:
    from rich.progress import Progress

    blobs, files = Blobs(call.settings.blobs), 0
    with Progress(console=call.printer.err, transient=True) as progress:
        for case in progress.track(cases, description="erasing cases"):
            async with store.transaction(call.request_id) as tx:
                done = await privacy.erase_case(tx, case, basis=basis, by=by, at=call.now)
            files += await forget(blobs, done.files)
    return files


async def forget(blobs: Blobs, digests: tuple[str, ...]) -> int:
    """Delete files of evidence, after the transaction that erased them."""
    return sum([await blobs.forget(digest) for digest in digests])


def age(text: str) -> timedelta:
    """Read a period like 90d, 12w, 6m or 3y (months of 30 days, years of 365).

    Raises:
        ConsoleError: It is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})([dwmy])", text)
    if not found:
        raise ConsoleError(f"{text!r} is no period", next_step="Write it like 90d, 12w, 6m or 3y.")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])
