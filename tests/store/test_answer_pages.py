"""The pages behind links: looking changes nothing, sending decides once, and nothing comes from elsewhere."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from case_store import links, tasks
from case_store.links import LinkKeys
from case_store.models import AuditEvent
from case_store.settings import Settings
from case_store.store import CaseStore
from console.web import body
from console.web.app import make
from console.web.limits import Limit
from console.web.site import Site
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

KEYS = LinkKeys(("a-key-of-at-least-32-characters-is-it",))
URL = "https://soar.example.org"
SCANNED = 100


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


async def events(store: CaseStore) -> int | None:
    async with store.reading() as tx:
        return await tx.session.scalar(select(func.count()).select_from(AuditEvent))


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


async def test_scanners_change_nothing(store: CaseStore, drill: World, site: Site):
    made = await token(store, drill, "report", "ada")
    before = await events(store)
    scanner = Visitor(site)
    for number in range(SCANNED):
        method = ("GET", "HEAD", "GET", "OPTIONS")[number % 4]
        answer = await scanner.http.request(method, f"/a/{made}?decision=done&page=x")
        assert answer.status_code == (405 if method == "OPTIONS" else 200)
    assert (await events(store), await state(store, drill, "report")) == (before, "open")


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
