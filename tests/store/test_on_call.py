"""Who is on call: from a file, from a URL, and from the copy when that does not answer."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from case_store import on_call
from case_store.on_call import OnCallRefused
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store import world

SUNDAY = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//
BEGIN:VEVENT
UID:1
DTSTART;TZID=Europe/Berlin:20260301T080000
DTEND;TZID=Europe/Berlin:20260301T200000
RRULE:FREQ=WEEKLY
SUMMARY:Days
ATTENDEE;CN=Ada:mailto:ADA@example.org
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;TZID=Europe/Berlin:20260301T190000
DTEND;TZID=Europe/Berlin:20260302T080000
RRULE:FREQ=WEEKLY
SUMMARY:bob
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART:20260329T130000Z
DTEND:20260329T140000Z
SUMMARY:stranger
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


class Server:
    """A server whose answer the test decides."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, CALENDAR.encode(), 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                self.send_response(server.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://user:secret@127.0.0.1:{self._http.server_port}/roster.ics?key=secret"
        Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


async def ready(store: CaseStore, roster: on_call.Roster, at: datetime) -> tuple[list[str], list[str]]:
    async with store.reading() as tx:
        people, unknown = await on_call.people(tx, roster, at)
    return [person.handle for person in people], unknown


async def test_a_file_says_who_by_address_or_handle_also_when_the_clocks_change(store: CaseStore, tmp_path: Path):
    async with store.transaction() as tx:
        await world.people(tx)
    file = tmp_path / "on-call.ics"
    file.write_text(CALENDAR, newline="")
    roster = await on_call.roster(Settings(home=tmp_path, on_call=str(file)), SUNDAY)
    assert roster.problem is None
    assert await ready(store, roster, datetime(2026, 3, 22, 7, 0, tzinfo=UTC)) == (["ada"], [])  # 8:00 in winter
    assert await ready(store, roster, datetime(2026, 3, 29, 6, 0, tzinfo=UTC)) == (["ada"], [])  # 8:00 in summer
    assert await ready(store, roster, datetime(2026, 3, 29, 5, 59, tzinfo=UTC)) == ([], [])
    assert await ready(store, roster, datetime(2026, 3, 29, 17, 30, tzinfo=UTC)) == (["ada", "bob"], [])
    assert await ready(store, roster, datetime(2026, 3, 29, 18, 0, tzinfo=UTC)) == (["bob"], [])
    assert await ready(store, roster, SUNDAY + timedelta(hours=1)) == (["ada"], ["stranger"])
    assert await ready(store, roster, SUNDAY + timedelta(days=1)) == ([], [])


async def test_a_url_is_fetched_and_its_copy_stands_in(tmp_path: Path, server: Server):
    settings = Settings(home=tmp_path, on_call=server.url)
    assert (await on_call.roster(settings, SUNDAY)).problem is None
    await on_call.roster(settings, SUNDAY + timedelta(minutes=4))
    assert server.asked == 1, "a young copy is good enough"
    server.status = 503
    late = await on_call.roster(settings, SUNDAY + timedelta(hours=3))
    assert late.calendar is not None
    assert late.problem is not None
    assert "answered 503; the copy of 2026-03-29 12:00 UTC is used (3.0 hours old)" in late.problem
    assert "secret" not in late.problem + late.source + repr(settings)
    server.status, server.body = 200, b"<html>"
    assert "no calendar" in str((await on_call.roster(settings, SUNDAY + timedelta(hours=4))).problem)
    assert sorted(os.listdir(tmp_path)) == ["on-call.failed", "on-call.ics"]  # noqa: PTH208
    assert "secret" not in (tmp_path / "on-call.failed").read_text()


async def test_a_url_that_failed_is_left_alone_for_a_minute(tmp_path: Path, server: Server):
    """Each run that tells what is late would wait for it again; whoever has a copy goes on with that."""
    settings = Settings(home=tmp_path, on_call=server.url)
    await on_call.roster(settings, SUNDAY)
    server.status, later = 503, SUNDAY + timedelta(hours=3)
    problems = [(await on_call.roster(settings, later + timedelta(seconds=n))).problem for n in (0, 1, 59)]
    assert server.asked == 2
    assert all("answered 503" in str(problem) and "the copy of" in str(problem) for problem in problems)
    server.status = 200
    assert (await on_call.roster(settings, later + timedelta(seconds=61))).problem is None
    assert server.asked == 3


async def test_a_copy_that_cannot_be_kept_is_said_and_the_calendar_used(tmp_path: Path, server: Server):
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    roster = await on_call.roster(Settings(home=home, on_call=server.url), SUNDAY)
    assert [entry.summary for entry in roster.at(SUNDAY)] == ["Days"]
    assert "no copy can be kept" in str(roster.problem)
    server.status = 503
    assert "answered 503" in str((await on_call.roster(Settings(home=home, on_call=server.url), SUNDAY)).problem)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (302, b"", "answered 302"),
        (200, b"x" * (2 * 1024 * 1024 + 1), "larger than 2048 KiB"),
        (200, b"x", "no calendar"),
    ],
)
async def test_without_a_copy_the_reason_is_said(tmp_path: Path, server: Server, status: int, body: bytes, said: str):
    server.status, server.body = status, body
    roster = await on_call.roster(Settings(home=tmp_path, on_call=server.url), SUNDAY)
    assert roster.calendar is None
    assert said in str(roster.problem)
    assert roster.at(SUNDAY) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("ftp://example.org/x", "only http and https"),
        ("http://[::1/secret", "http://… is no address"),
        ("http://example.org:port/", "cannot be reached (InvalidURL)"),
        ("/nowhere.ics", "cannot be read"),
        (None, None),
    ],
)
async def test_other_sources_are_refused(tmp_path: Path, source: str | None, said: str | None):
    roster = await on_call.roster(Settings(home=tmp_path, on_call=source), SUNDAY)
    assert (roster.problem is None) == (said is None)
    assert said is None or said in str(roster.problem)


def test_what_is_no_calendar_is_refused():
    for content in (b"", b"\xff\xfe", b"BEGIN:VEVENT\r\nEND:VEVENT\r\n"):
        with pytest.raises(OnCallRefused):
            on_call.read(content, "x.ics", SUNDAY)
