"""A corpus of hostile case data through every message in every language, as letter and as text."""

import resource
import time
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from html.parser import HTMLParser
from typing import cast

import pytest

from notifiers.catalogue import LANGUAGES
from notifiers.contract import Message, Recipient
from notifiers.letter import compose
from notifiers.render import TEMPLATES, Rendered, render
from notifiers.settings import EmailConfig
from tests.unit.notifiers.hostile import HOSTILE

LINK = "https://casewright.example/"
CONFIG = EmailConfig(host="localhost", sender="soc@corp.example")
AT = datetime(2026, 11, 24, 13, tzinfo=UTC)
WITH_FACTS_IN_THE_SUBJECT = {"alarm", "assigned"}
SECONDS, MEMORY = 3, 256 * 1024 * 1024


def facts(word: str) -> dict[str, object]:
    """Facts for any message; each text in them is the given one."""
    return {
        "case": {"number": 42, "title": word, "severity": word},
        "task": {"title": word, "stage": word, "role": word},
        "due": "2026-11-24T13:00:00+00:00",
        "link": LINK,
        "recipient": {"name": word, "time_zone": word},
        "rung": word,
        "after": word,
        "late_by": word,
        "about": word,
        "digest": {"count": 2, "cases": [{"number": 1, "messages": 2}], "more": 0},
        "alarm": {"about": word, "channel": word, "template": word, "case": 42},
        "checkpoint": {"at": "2026-11-24T13:00:00+00:00", "size": 1, "lines": [word]},
        "code": {"digits": word, "minutes": 10},
        "reply": {"about": word},
        "for_another": True,
    }


class Tags(HTMLParser):
    """The tags and addresses in an HTML text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))


def letter(words: Rendered, name: str) -> EmailMessage:
    message = Message(Recipient(name, "ana@corp.example"), words.subject, words.text, words.html, words.sms, 42, "key")
    return cast("EmailMessage", message_from_bytes(compose(message, CONFIG, AT).content, policy=default))


def test_the_corpus_is_a_hundred():
    assert len(HOSTILE) == len(set(HOSTILE)) == 100


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_nothing_is_carried_out(number: int):
    word = HOSTILE[number]
    for language in LANGUAGES:
        for template in sorted(TEMPLATES):
            _looks_like_any_other(template, language, word)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MEMORY * 2, "Python and pytest are in it"


@cache
def usual_of(template: str, language: str) -> tuple[Rendered, EmailMessage]:
    """The message when nobody means harm."""
    words = render(template, facts("usual"), language)
    return words, letter(words, "usual")


def _looks_like_any_other(template: str, language: str, word: str) -> None:
    begun = time.process_time()
    words = render(template, facts(word), language)
    assert time.process_time() - begun < SECONDS, "work of this process: others on the machine do not count"
    usual, ordinary = usual_of(template, language)
    for line in (words.subject, words.sms):
        assert len(line.splitlines()) == 1
        assert not any(unicodedata.category(mark) in {"Cc", "Cs"} or mark in "\u202e\u2066" for mark in line)
    assert words.text.count("\n") <= usual.text.count("\n")
    assert not Counter(tag for tag, _ in Tags(words.html).found) - Counter(tag for tag, _ in Tags(usual.html).found)
    assert all(dict(attrs).get("href", LINK) == LINK for _, attrs in Tags(words.html).found)
    assert "49" not in words.text.replace("10049", "")
    if template not in WITH_FACTS_IN_THE_SUBJECT:
        return
    made = letter(words, word or "x")
    assert made.keys() == ordinary.keys()
    assert len(made["To"].addresses) == 1
    assert made["To"].addresses[0].addr_spec == "ana@corp.example"
    assert [part.get_content_type() for part in made.walk()] == [part.get_content_type() for part in ordinary.walk()]
