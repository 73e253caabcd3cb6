"""The page of a case that goes along with its bundle: complete, and harmless whatever the case says."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from case_store import evidence, notes, views
from case_store.blobs import Blobs
from case_store.models import Case
from case_store.store import CaseStore
from tests.store.making import BY, LATER, NOW, add_case

HOSTILE = """</title><script>alert(1)</script>"><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202egnp.exe\u202c\x07 'é"""


class Page(HTMLParser):
    """What a browser would see: the elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


@pytest.fixture
async def case(store: CaseStore, tmp_path: Path) -> Case:
    async with store.transaction() as tx:
        case, _, task = await add_case(tx)
        case.title = HOSTILE
        tx.record("case.edited", case, by=BY, at=NOW)
        task.reason, task.result = HOSTILE, {HOSTILE: [True, None, {"x": HOSTILE}]}
        tx.record("task.failed", task, by=BY, at=NOW)
        await tx.flush()
        await notes.add(tx, case, HOSTILE, author=BY, by=BY, at=NOW)
        await evidence.attach(tx, case, Blobs(tmp_path), name=f"{HOSTILE}.pdf", content=b"x", by=BY, at=NOW)
    return case


async def test_hostile_text_stays_text(store: CaseStore, case: Case):
    async with store.reading() as tx:
        html = await views.report(tx, case, by=HOSTILE, at=LATER)
    page = Page(html)
    assert not {"script", "img", "a", "iframe", "link"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"href", "src"}]
    assert "{{ 7 * 7 }}" in page.text
    assert not {"\u202e", "\u202c", "\x07"} & set(html)
    assert html.count("alert(1)") >= 10  # title, heading, reason, result, note, evidence, timeline: nothing is left out


async def test_the_page_says_how_far_it_goes(store: CaseStore, case: Case):
    async with store.reading() as tx:
        before = Page(await views.report(tx, case, by="ann", at=LATER)).text
    async with store.transaction() as tx:
        await notes.add(tx, case, "Nobody has clicked.", author=BY, by=BY, at=LATER)
    async with store.reading() as tx:
        after = Page(await views.report(tx, case, by="ann", at=LATER)).text
    assert "after 7 events" in before
    assert "after 8 events" in after
    assert ("Nobody has clicked." in before, "Nobody has clicked." in after) == (False, True)
    assert "2026-03-02 09:35:00 UTC for ann" in after


async def test_values_are_in_words(store: CaseStore):
    async with store.transaction() as tx:
        case, _, task = await add_case(tx)
        task.result = {"found": True, "names": ["a", "b"], "none": None, "counts": {"ip": 2}}
        tx.record("task.done", task, by=BY, at=NOW)
    async with store.reading() as tx:
        text = Page(await views.report(tx, case, by="ann", at=LATER)).text
    for words in ("found yes", "names a, b", "none –", "counts ip: 2"):
        assert words in text
