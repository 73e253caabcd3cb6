"""`casewright times` and `casewright on-call`: how long things take, and who has to come."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from case_store import on_call as calendars
from case_store import views
from case_store.on_call import OnCallRefused
from case_store.views import TimesRow
from console.call import Here
from console.moments import a_moment
from console.output import AsJson, Column
from console.text import seconds, words

_COLUMNS = [
    Column[TimesRow]("What", lambda row: row.what, whole=True),
    Column[TimesRow]("SOP", lambda row: row.sop),
    Column[TimesRow]("Severity", lambda row: row.severity),
    Column[TimesRow]("Number", lambda row: row.count, right=True),
    Column[TimesRow]("Closed", lambda row: row.closed, right=True),
    Column[TimesRow]("Late", lambda row: row.breached, right=True),
    Column[TimesRow]("MTTA", lambda row: seconds(row.mtta), right=True),
    Column[TimesRow]("Acknowledged", lambda row: _pair(row.acknowledge_median, row.acknowledge_p90), right=True),
    Column[TimesRow]("MTTR", lambda row: seconds(row.mttr), right=True),
    Column[TimesRow]("Closed after", lambda row: _pair(row.close_median, row.close_p90), right=True),
    Column[TimesRow]("Working time", lambda row: _pair(row.worked_median, row.worked_p90), right=True),
]


async def times(
    *,
    since: Annotated[
        datetime | None, Parameter(converter=a_moment, help="Cases opened then or later (UTC if no zone is named).")
    ] = None,
    until: Annotated[datetime | None, Parameter(converter=a_moment, help="Cases opened before then.")] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Show how long cases and tasks take, by SOP and severity: the mean, the median / what nine of ten stay below.

    MTTA is the mean time to acknowledge, MTTR the mean time to resolve.
    """
    async with call.reading() as tx:
        rows = await views.times(tx, since=_in_utc(since), until=_in_utc(until))
    call.printer.listing("times", rows, _COLUMNS, as_json=as_json, empty="no such cases")


async def on_call(
    *,
    at: Annotated[
        datetime | None, Parameter(converter=a_moment, help="Then, and not now (UTC where no zone is named).")
    ] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Show who is on call, by the calendar of this installation (CASEWRIGHT_ON_CALL).

    Raises:
        OnCallRefused: There is no calendar, or it cannot be used.
    """
    roster = await calendars.roster(call.settings, call.now)
    if roster.calendar is None:
        raise OnCallRefused(roster.problem or roster.source)
    moment = _in_utc(at) or call.now
    async with call.reading() as tx:
        people, unknown = await calendars.people(tx, roster, moment)
    handles = [person.handle for person in people]
    if roster.problem:
        call.printer.warn(roster.problem)
    for name in unknown:
        call.printer.warn(f"the calendar names {name!r}, who is not on record: casewright people list")
    if as_json:
        call.printer.json({"at": moment, "on_call": handles, "unknown": unknown, "read_at": roster.read_at})
    else:
        call.printer.say(f"{', '.join(handles) or 'nobody'} on call at {words(moment)} ({roster.source})")


def _pair(median: int | None, p90: int | None) -> str:
    return f"{seconds(median)} / {seconds(p90)}" if median is not None else ""


def _in_utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
