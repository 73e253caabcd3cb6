"""The pages behind links: looking changes nothing, sending decides once, and nothing comes from elsewhere."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from case_store import cases, find, links, people, tasks
from case_store.actor import Actor
from case_store.audit import private
from case_store.links import LinkKeys
from case_store.models import AnswerLink, Approval, AuditEvent, Case, OutboxEntry, SignOffCode, Task
from case_store.settings import Settings
from case_store.store import CaseStore
from case_store.views import answer_page
from console.web import body
from console.web.app import make
from console.web.limits import Limit, Visits, whose
from console.web.site import Site
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

KEYS = LinkKeys(("a-key-of-at-least-32-characters-is-it",))
URL = "https://soar.example.org"
SCANNED = 100


WHEN = """
sop: when
version: 1
title: When
owner: user:ada
stages:
  - key: all
    title: All
    tasks:
      - key: when
        title: When was it
        form:
          seen: {type: datetime, required: true}
        by_link: [done]
"""


def exactly_of(task: Task) -> list[tuple[str, str]]:
    """Return the parameters as pages show them."""
    return [(key, answer_page._exactly(value)) for key, value in (task.parameters or {}).items()]


class Visitor:
    """A browser: it keeps cookies, and finds the form's hidden field."""

    def __init__(self, site: Site, **headers: str) -> None:
        transport = httpx.ASGITransport(make(site), client=("192.0.2.7", 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url=URL, headers=headers)

    async def look(self, token: str) -> httpx.Response:
        return await self.http.get(f"/a/{token}")

    async def send(self, token: str, decision: str, **fields: Any) -> httpx.Response:
        sealed = re.search(r'name="page" value="([^"]+)"', (await self.look(token)).text)
        data = {"page": sealed[1] if sealed else "", "decision": decision, **fields}
        return await self.http.post(f"/a/{token}", data=data)


@pytest.fixture
async def drill(store: CaseStore) -> World:
    made = await world.build(store)
    async with store.transaction() as tx:
        for key in ("report", "confirm", "block"):
            parameters = {"url": "https://gateway.example/<b>block</b>"} if key == "block" else None
            task = await world.task(tx, made, key)
            await tasks.ask(tx, task, parameters=parameters, due_at=LATER, by=ENGINE, at=NOW)
    return made


@pytest.fixture
def site(store: CaseStore) -> Site:
    return site_at(store, LATER)


def site_at(store: CaseStore, at: Any, **limits: Limit) -> Site:
    settings = Settings(public_url=URL)
    wide = {"per_address": Limit(100_000), "per_link": Limit(1_000)}
    return Site(store, KEYS, settings, lambda: at, **(wide | limits))


@pytest.fixture
async def visitor(site: Site) -> AsyncIterator[Visitor]:
    made = Visitor(site)
    yield made
    await made.http.aclose()


async def token(store: CaseStore, drill: World, key: str, who: str) -> str:
    async with store.transaction() as tx:
        task = await world.task(tx, drill, key)
        day = timedelta(days=1)
        made = await links.mint(tx, task, drill[who], "email", keys=KEYS, lasts=day, by=ENGINE, at=NOW)
    assert made is not None
    return made


async def state(store: CaseStore, drill: World, key: str) -> str:
    async with store.reading() as tx:
        return (await world.task(tx, drill, key)).state


async def events(store: CaseStore, after: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """The events behind the first `after`: their types and facts."""
    async with store.reading() as tx:
        found = (await tx.session.scalars(select(AuditEvent.body).order_by(AuditEvent.id).offset(after))).all()
        return [(one["type"], one["facts"]) for one in await private.read(tx, found)]


async def rows(store: CaseStore) -> list[str]:
    """All rows of tables that decide anything."""
    async with store.reading() as tx:
        connection = await tx.session.connection()
        tables = [one.__table__ for one in (Task, Case, AnswerLink, SignOffCode, OutboxEntry, Approval)]
        return [repr(row) for table in tables for row in await connection.execute(select(table))]


async def test_a_page_says_what_is_asked_and_takes_the_answer(store: CaseStore, drill: World, visitor: Visitor):
    made = await token(store, drill, "block", "mia")
    page = await visitor.look(made)
    assert page.status_code == 200
    assert "Block the sender" in page.text
    assert "Mia" in page.text
    assert "&lt;b&gt;block&lt;/b&gt;" in page.text
    assert "<b>block" not in page.text
    assert 'value="approve"' in page.text
    assert 'value="skip"' not in page.text
    unsigned = await visitor.send(made, "approve", note="it is phishing")
    assert unsigned.status_code == 422
    assert "Enter the code" in unsigned.text
    sent = await visitor.send(made, "code", note="it is phishing")
    assert sent.status_code == 200
    assert "on its way to you by text message" in sent.text
    assert "it is phishing" in sent.text, "what was entered is kept"
    assert (await visitor.send(made, "code")).status_code == 422, "one was sent a moment ago"
    wrong = await visitor.send(made, "approve", code="1")
    assert wrong.status_code == 422
    assert "The code is wrong; it may be tried 4 more times" in wrong.text
    async with store.reading() as tx:
        digits = await world.code_of(tx)
    done = await visitor.send(made, "approve", note="it is phishing", code=digits)
    assert done.status_code == 200
    assert "is approved" in done.text
    async with store.reading() as tx:
        task = await world.task(tx, drill, "block")
        assert (task.signed_by, task.decided_via, task.decision) == ("mia", "link", "approved")
    again = await visitor.send(made, "approve")
    assert again.status_code == 410
    assert "mia" not in again.text.lower()


async def test_every_answer_tells_the_browser_to_load_and_keep_nothing(
    store: CaseStore, drill: World, visitor: Visitor
):
    made = await token(store, drill, "report", "ada")
    for answer in (await visitor.look(made), await visitor.look("x"), await visitor.http.get("/nowhere")):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    cookie = (await visitor.look(made)).headers["set-cookie"]
    assert cookie.startswith("__Host-casewright=")
    assert {"HttpOnly", "SameSite=lax", "Secure", "Path=/"} <= set(cookie.split("; "))


async def test_scanners_change_nothing_and_hardly_fill_the_record(store: CaseStore, drill: World, site: Site):
    made = await token(store, drill, "report", "ada")
    before, then = len(await events(store)), await rows(store)
    scanner = Visitor(site)
    for number in range(SCANNED):
        method = ("GET", "HEAD", "GET", "OPTIONS")[number % 4]
        answer = await scanner.http.request(method, f"/a/{made}?decision=done&page=x")
        assert answer.status_code == (405 if method == "OPTIONS" else 200)
    assert await rows(store) == then
    assert await events(store, before) == [
        ("answer_link.opened", {"who": "ada", "count": 1}),
        ("answer_link.opened", {"who": "ada", "count": 10}),
    ]


async def test_every_way_to_be_refused_is_on_record(store: CaseStore, drill: World, visitor: Visitor, site: Site):
    used, revoked, decided = [await token(store, drill, key, "ada") for key in ("report", "confirm", "report")]
    await visitor.send(used, "done")
    async with store.transaction() as tx:
        await links.revoke(tx, await world.task(tx, drill, "confirm"), "lost phone", by=ENGINE, at=NOW)
    before = len(await events(store))
    gone = LinkKeys.new_link(KEYS)[0]
    for made in (used, revoked, decided, gone, "x"):
        for _ in range(3):
            await visitor.look(made)
    late = Visitor(site_at(store, NOW + timedelta(days=2)))
    approval = await token(store, drill, "block", "mia")
    await late.send(approval, "approve")
    assert [(kind, facts) for kind, facts in await events(store, before) if kind != "answer_link.minted"] == [
        ("answer_link.refused", {"who": "ada", "why": "used", "count": 1}),
        ("answer_link.refused", {"who": "ada", "why": "revoked", "count": 1}),
        ("answer_link.refused", {"who": "ada", "why": "decided", "count": 1}),
        ("answer_link.unknown", {"signed": True, "count": 1}),
        ("answer_link.refused", {"who": "mia", "why": "expired", "count": 1}),
    ]


async def test_codes_that_cannot_be_right_are_on_record_once_an_hour(store: CaseStore, drill: World, visitor: Visitor):
    made = await token(store, drill, "block", "mia")
    before = len(await events(store))
    for _ in range(3):
        assert (await visitor.send(made, "approve", code="12345678")).status_code == 422
    await visitor.send(made, "code")
    expired = Visitor(site_at(store, LATER + timedelta(minutes=11)))
    for _ in range(2):
        assert (await expired.send(made, "approve", code="12345678")).status_code == 422
    told = [(kind, facts["why"]) for kind, facts in await events(store, before) if kind == "code.refused"]
    assert told == [("code.refused", "none"), ("code.refused", "expired")]


async def test_of_many_who_send_at_once_one_decides(store: CaseStore, drill: World, visitor: Visitor):
    made = await token(store, drill, "report", "ada")
    sealed = re.search(r'name="page" value="([^"]+)"', (await visitor.look(made)).text)
    assert sealed
    data = {"page": sealed[1], "decision": "done"}
    came = await asyncio.gather(*(visitor.http.post(f"/a/{made}", data=data) for _ in range(20)))
    assert sorted(one.status_code for one in came) == [200] + [410] * 19


@pytest.mark.parametrize("from_site", ["cross-site", "same-site", "none"])
async def test_what_another_site_has_a_browser_send_is_not_taken(
    store: CaseStore, drill: World, site: Site, from_site: str
):
    made = await token(store, drill, "report", "ada")
    answer = await Visitor(site, **{"sec-fetch-site": from_site}).send(made, "done")
    assert answer.status_code == 403
    assert "Nothing was decided" in answer.text
    assert await state(store, drill, "report") == "open"


async def test_a_form_is_good_for_its_browser_and_its_link_alone(store: CaseStore, drill: World, site: Site):
    mine, other = await token(store, drill, "report", "ada"), await token(store, drill, "confirm", "ada")
    here, there = Visitor(site), Visitor(site)
    sealed = re.search(r'name="page" value="([^"]+)"', (await here.look(other)).text)
    assert sealed
    for visitor, page in ((here, sealed[1]), (there, sealed[1]), (here, ""), (here, "x" * 5000)):
        answer = await visitor.http.post(f"/a/{mine}", data={"page": page, "decision": "done"})
        assert answer.status_code == 403
    assert await state(store, drill, "report") == "open"


async def test_a_form_that_is_not_right_is_shown_again_with_what_was_entered(
    store: CaseStore, drill: World, visitor: Visitor
):
    made = await token(store, drill, "confirm", "bob")
    answer = await visitor.send(made, "done", note="seen <it>", **{"q.hosts": "many"})
    assert answer.status_code == 422
    assert ">Must be a number<" in answer.text
    assert "<b>Verdict</b> – An answer is required, one of: phishing, spam" in answer.text
    assert "seen &lt;it&gt;" in answer.text
    assert 'value="many"' in answer.text
    assert (await visitor.send(made, "skip")).status_code == 422, "a reason is needed"
    done = await visitor.send(made, "done", note="seen it", **{"q.hosts": "3", "q.verdict": "spam"})
    assert done.status_code == 200
    async with store.reading() as tx:
        assert (await world.task(tx, drill, "confirm")).form_values == {"verdict": "spam", "hosts": 3}


async def test_a_page_speaks_the_language_of_its_person_and_tells_their_time(
    store: CaseStore, drill: World, visitor: Visitor
):
    made = await token(store, drill, "block", "mia")
    english = await visitor.look(made)
    assert '<html lang="en">' in english.text
    assert "(UTC)" in english.text
    listed = "handle,name,email,phone,roles,time_zone,language\n"
    listed += "mia,Mia,mia@example.org,+4930901821,manager,Europe/Berlin,de-CH\n"
    async with store.transaction() as tx:
        await people.import_(tx, people.parse_csv(listed), {"manager"}, by=ENGINE, at=NOW)
    german = await visitor.look(made)
    assert '<html lang="de">' in german.text
    assert "02.03.2026, 10:10 Uhr (Europe/Berlin)" in german.text
    assert ">Genehmigen</button>" in german.text
    assert "Code ein, der Ihnen gesendet wurde" in (await visitor.send(made, "approve")).text
    async with store.transaction() as tx:
        await links.revoke(tx, await world.task(tx, drill, "block"), "lost", by=ENGINE, at=LATER)
    assert "zurückgenommen" in (await visitor.look(made)).text
    nobodys = await visitor.http.get("/a/x", headers={"accept-language": "fr;q=0.9, de-AT;q=0.8, en;q=0.5"})
    assert "funktioniert nicht" in nobodys.text


@pytest.mark.parametrize(
    ("zone", "kept"), [("", "2026-03-01T08:00:00+00:00"), ("Europe/Berlin", "2026-03-01T07:00:00+00:00")]
)
async def test_a_time_that_is_entered_is_one_on_the_clock_of_its_person(store: CaseStore, zone: str, kept: str):
    listed = f"handle,name,email,roles,time_zone\nada,Ada,ada@example.org,tier1,{zone}\n"
    async with store.transaction() as tx:
        await people.import_(tx, people.parse_csv(listed), {"tier1"}, by=ENGINE, at=NOW)
        ada = await find.person(tx, "ada")
        case = await cases.open_case(tx, loads(WHEN, "when.yaml"), "When", by=Actor.person(ada), at=NOW)
        task = await find.task_of(tx, case, "when")
        await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=NOW)
        day = timedelta(days=1)
        made = await links.mint(tx, task, ada, "email", keys=KEYS, lasts=day, by=ENGINE, at=NOW)
    visitor = Visitor(site_at(store, LATER))
    assert f"Time in {zone or 'UTC'}." in (await visitor.look(made)).text
    wrong = await visitor.send(made, "done", **{"q.seen": "yesterday"})
    assert (wrong.status_code, 'href="#q-seen"' in wrong.text) == (422, True)
    assert (await visitor.send(made, "done", **{"q.seen": "2026-03-01T08:00"})).status_code == 200
    async with store.reading() as tx:
        assert (await find.task_of(tx, case, "when")).form_values == {"seen": kept}


async def test_what_went_wrong_is_said_at_its_field_and_linked_from_the_top(
    store: CaseStore, drill: World, visitor: Visitor
):
    made = await token(store, drill, "confirm", "bob")
    wrong = await visitor.send(made, "done", note="seen", **{"q.hosts": "many"})
    assert "<title>Error: Confirm what it is" in wrong.text
    for field in ("q-hosts", "q-verdict"):
        assert f'<a href="#{field}">' in wrong.text
        assert wrong.text.count(f'id="{field}"') == 1
        assert f'id="{field}-wrong"' in wrong.text
        assert re.search(
            rf'id="{field}"[^>]* aria-describedby="{field}-wrong"[^>]* aria-invalid="true"', wrong.text
        ) or re.search(rf'id="{field}"[^>]* aria-invalid="true" aria-describedby="{field}-wrong"', wrong.text)
    assert '<a href="#note">' in (await visitor.send(made, "skip")).text


async def test_enter_in_a_field_decides_nothing(store: CaseStore, drill: World, visitor: Visitor):
    made = await token(store, drill, "report", "ada")
    page = (await visitor.look(made)).text
    assert 'value=""' in re.findall(r"<button[^>]*>", page)[0], "what Enter presses"
    pressed = await visitor.send(made, "")
    assert (pressed.status_code, "Choose one of the buttons" in pressed.text) == (422, True)
    assert await state(store, drill, "report") == "open"


async def test_what_is_approved_is_shown_to_the_last_character(store: CaseStore, drill: World, visitor: Visitor):
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "sign-off")
        hidden = "https://a\u202e.example/\u200b\u00a0\u2028"
        await tasks.ask(tx, task, parameters={"url": hidden, "text": "Grüße 東"}, due_at=None, by=ENGINE, at=NOW)
    async with store.reading() as tx:
        task = await world.task(tx, drill, "sign-off")
        shown = dict(exactly_of(task))
    assert shown == {"url": r'"https://a\u202e.example/\u200b\u00a0\u2028"', "text": '"Grüße 東"'}


async def test_several_pages_may_be_open_also_from_web_mail(store: CaseStore, drill: World, visitor: Visitor):
    """Browsers send a cookie that is `lax` when somebody follows a link from another site; so all pages are of one."""
    report, confirm = await token(store, drill, "report", "ada"), await token(store, drill, "confirm", "bob")
    sealed = re.search(r'name="page" value="([^"]+)"', (await visitor.look(report)).text)
    await visitor.look(confirm)
    assert sealed
    done = await visitor.http.post(f"/a/{report}", data={"page": sealed[1], "decision": "done"})
    assert done.status_code == 200


async def test_no_answer_leads_elsewhere_or_lacks_its_headers(
    store: CaseStore, site: Site, monkeypatch: pytest.MonkeyPatch
):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make(site), raise_app_exceptions=False), base_url=URL
    ) as http:
        for path in ("/health/", "/a/x/", "//evil.example/health/", "/a/x%2f..%2fhealth"):
            answer = await http.get(path, headers={"host": "evil.example"})
            assert (answer.status_code, "location" in answer.headers) == (404, False)
            assert answer.headers["cache-control"] == "no-store"
        monkeypatch.setattr(type(site.keys), "read_link", lambda *_: 1 / 0)
        broken = await http.get("/a/x")
        assert broken.status_code == 500
        assert "Nothing was decided" in broken.text
        assert broken.headers["content-security-policy"].startswith("default-src 'none'")
        assert broken.headers["cache-control"] == "no-store"


async def test_what_comes_too_slowly_is_not_waited_for(
    store: CaseStore, drill: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(body, "WITHIN", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"decision="
        await asyncio.Event().wait()

    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await visitor.http.post("/a/x", content=slowly(), headers=kind)
    assert answer.status_code == 408


def test_one_line_of_internet_is_counted_as_one():
    assert len({whose(f"2001:db8::{one:x}") for one in range(50)}) == 1
    assert whose("2001:db8:0:1::1") != whose("2001:db8::1")
    assert (whose("192.0.2.1"), whose("::ffff:192.0.2.1"), whose("nonsense")) == ("192.0.2.1", "192.0.2.1", "unknown")


async def test_what_is_no_link_of_ours_is_told_in_plain_words(store: CaseStore, drill: World, visitor: Visitor):
    made = await token(store, drill, "report", "ada")
    foreign = LinkKeys(("another-key-of-32-characters-or-so!!",)).new_link()[0]
    for broken in (foreign, made[:-1], ("A" if made[0] != "A" else "B") + made[1:], "x" * 3000):
        answer = await visitor.look(broken)
        assert answer.status_code == 404
        assert "Copy the whole link" in answer.text
        assert (await visitor.send(broken, "done")).status_code == 404
    late = Visitor(site_at(store, NOW + timedelta(days=2)))
    assert (await late.look(made)).status_code == 410
    assert (await late.send(made, "done")).status_code == 410
    assert (await visitor.send(made, "skip")).status_code == 403, "the SOP does not allow that"
    assert await state(store, drill, "report") == "open"


async def test_the_old_key_is_still_believed_and_a_dropped_one_is_not(store: CaseStore, drill: World):
    made = await token(store, drill, "report", "ada")
    old, new = "a-key-of-at-least-32-characters-is-it", "a-newer-key-of-at-least-32-characters"
    assert LinkKeys((old, new)).read_link(made) == KEYS.read_link(made)
    assert LinkKeys((new,)).read_link(made) is None


async def test_too_much_too_often_and_no_form_are_refused(store: CaseStore, drill: World, visitor: Visitor):
    made = await token(store, drill, "report", "ada")
    assert (await visitor.http.post(f"/a/{made}", data={"note": "x" * body.LARGEST})).status_code == 413
    assert (await visitor.http.post(f"/a/{made}", json={"decision": "done"})).status_code == 415
    often = Visitor(site_at(store, LATER, per_link=Limit(2)))
    assert [(await often.http.post(f"/a/{made}", data={"page": "x"})).status_code for _ in range(3)] == [403, 403, 429]
    curious = Visitor(site_at(store, LATER, per_address=Limit(2)))
    assert [(await curious.look("x")).status_code for _ in range(3)] == [404, 404, 429]


async def test_health_says_whether_the_case_store_is_there(visitor: Visitor, store: CaseStore):
    assert (await visitor.http.get("/health")).text == "ok"


def test_a_limit_begins_anew_after_a_minute():
    now = [0.0]
    limit = Limit(1, clock=lambda: now[0])
    assert [limit.allows("a"), limit.allows("a"), limit.allows("b")] == [True, False, True]
    now[0] = 60.0
    assert limit.allows("a")


def test_visits_are_told_ever_more_seldom_and_anew_in_each_hour():
    now = [0.0]
    visits = Visits(clock=lambda: now[0])
    assert [number for number in (visits.count("a") for _ in range(2_000)) if number] == [1, 10, 100, 1_000]
    assert visits.count("b") == 1
    now[0] = 3600.0
    assert visits.count("a") == 1
