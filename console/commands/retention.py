"""`casewright retention`: erase what is personal in cases that ended, and alerts that came in, long ago."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter

from case_store import privacy
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.models import Alert, Case
from case_store.refusals import AlertHasCase
from case_store.store import CaseStore
from console.call import Call, Here
from console.commands.privacy_options import DryRun, Yes
from console.confirm import confirm
from console.errors import ConsoleError
from console.output import AsJson, Column
from console.text import moment, numbered

app = App(name="retention", help="Erase what is personal in old cases and alerts.")

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

    Alerts that came in so long ago and belong to no case go with them. Each case and each alert is a transaction of its
    own: who interrupts it runs it again. Who decided what stays on record.
    """
    period = older_than or call.settings.retention
    if period is None:
        raise ConsoleError("nobody says how old is old", next_step="Give --older-than 3y, or set CASEWRIGHT_RETENTION.")
    async with call.store() as store:
        async with store.reading() as tx:
            by = Actor.person(await call.person(tx))
            before = call.now - age(period)
            due = _Due(await privacy.due(tx, before), await privacy.due_alerts(tx, before))
        if dry_run:
            due.show(call, period, as_json=as_json)
            return
        if due.wanted and not yes:
            confirm(call.printer, f"{due.words(period)} are erased for good.")
        files = await _erase(store, due.wanted, f"retention: over {period} ago", by, call)
    if as_json:
        numbers = {"erased": [one.number for one in due.cases], "held": [one.number for one in due.held]}
        call.printer.json({**numbers, "alerts": [one.id for one in due.alerts]})
        return
    of_evidence = numbered(files, "file of evidence", "files of evidence")
    erased = (
        f"{numbered(len(due.cases), 'case')}, {numbered(len(due.alerts), 'alert')} without a case and {of_evidence}"
    )
    call.printer.say(f"{erased} erased; {numbered(len(due.held), 'case')} kept by a legal hold")


class _Due:
    """What is old enough: cases, alerts without a case, and cases that a legal hold keeps."""

    def __init__(self, cases: Sequence[Case], alerts: Sequence[Alert]) -> None:
        self.found, self.alerts = cases, alerts
        self.cases = [case for case in cases if case.legal_hold is None]
        self.held = [case for case in cases if case.legal_hold is not None]

    @property
    def wanted(self) -> list[Case | Alert]:
        """What is erased."""
        return [*self.cases, *self.alerts]

    def words(self, period: str) -> str:
        """Say what is erased."""
        cases = f"{numbered(len(self.cases), 'case')} that ended over {period} ago"
        return f"{cases} and {numbered(len(self.alerts), 'alert')} without a case that came in before then"

    def show(self, call: Call, period: str, *, as_json: bool) -> None:
        """Print it."""
        if as_json:
            cases = [{"number": one.number, "ended": one.closed_at, "held": one.legal_hold} for one in self.found]
            alerts = [{"id": one.id, "received": one.received_at, "source": one.source} for one in self.alerts]
            call.printer.json({"cases": cases, "alerts": alerts})
            return
        call.printer.listing("cases", self.found, _CASES, as_json=False, empty=f"no case ended over {period} ago")
        none = f"no alert without a case came in over {period} ago"
        call.printer.listing("alerts", self.alerts, _ALERTS, as_json=False, empty=none)


_CASES = [
    Column[Case]("Case", lambda case: case.number, right=True),
    Column[Case]("Ended", lambda case: moment(case.closed_at) if case.closed_at else None, whole=True),
    Column[Case]("Kept by a legal hold", lambda case: case.legal_hold),
]
_ALERTS = [
    Column[Alert]("Alert", lambda alert: alert.id, whole=True),
    Column[Alert]("Came in", lambda alert: moment(alert.received_at), whole=True),
    Column[Alert]("Source", lambda alert: alert.source),
]


async def _erase(store: CaseStore, wanted: Sequence[Case | Alert], basis: str, by: Actor, call: Call) -> int:
    from rich.progress import Progress

    blobs, files = Blobs(call.settings.blobs), 0
    with Progress(console=call.printer.err, transient=True) as progress:
        for one in progress.track(wanted, description="erasing"):
            async with store.transaction(call.request_id) as tx:
                try:
                    if isinstance(one, Case):
                        done = await privacy.erase_case(tx, one, basis=basis, by=by, at=call.now)
                    else:
                        done = await privacy.erase_alert(tx, one, basis=basis, by=by, at=call.now)
                except AlertHasCase:  # since we looked
                    continue
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
