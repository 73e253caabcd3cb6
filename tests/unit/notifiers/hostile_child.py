"""Carries each entry of the corpus through every message, in a process of its own that has 3 s and 256 MB.

Run: python -m tests.unit.notifiers.hostile_child NUMBER...; it writes the outcome of each as a line of JSON.
The seconds are those of the processor, so that others on the machine do not count.
"""

import json
import os
import resource
import sys
import traceback
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from html.parser import HTMLParser
from typing import cast

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
HANGS, EATS = -1, -2


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


@cache
def usual_of(template: str, language: str) -> tuple[Rendered, EmailMessage]:
    """The message when nobody means harm."""
    words = render(template, facts("usual"), language)
    return words, letter(words, "usual")


def looks_like_any_other(template: str, language: str, word: str) -> None:
    words = render(template, facts(word), language)
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


def carry_through(number: int) -> None:
    """Make every message of one entry."""
    if number == HANGS:
        while True:
            pass
    if number == EATS:
        bytearray(MEMORY)
    for language in LANGUAGES:
        for template in sorted(TEMPLATES):
            looks_like_any_other(template, language, HOSTILE[number])


def outcome_of(number: int) -> str:
    """Do it in a child of this process, with limits; return `ok`, or what ended it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            carry_through(number)
            said = "ok"
        except Exception:  # noqa: BLE001 - whatever it is, is told
            said = traceback.format_exc()
        os.write(writing, said.encode("utf-8", "backslashreplace")[-8000:])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return said or f"ended by signal {os.waitstatus_to_exitcode(status)}"


def main() -> None:
    """Tell the outcomes of the entries that are asked for."""
    for template in TEMPLATES:
        for language in LANGUAGES:
            usual_of(template, language)  # once, before the limits
    for number in map(int, sys.argv[1:]):
        sys.stdout.write(f"{json.dumps([number, outcome_of(number)])}\n")


if __name__ == "__main__":
    main()
