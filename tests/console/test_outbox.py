"""`casewright outbox` and `casewright notify preview`."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import outbox
from case_store.links import LinkKeys
from case_store.models import OutboxEntry
from tests.console.conftest import ENGINE, NOW


@pytest.fixture
def died(asked, in_store):
    """A message that reached nobody; returns its id."""
    asked("confirm-source")

    async def let_it_die(tx):
        (entry, *_) = await outbox.claim(tx, NOW, timedelta(minutes=1), 1, "t")
        await outbox.settle(tx, entry, outbox.Result("permanent", error="550 no such user"), by=ENGINE, at=NOW)
        return entry.id

    return in_store(let_it_die)


def state_of(in_store, message):
    async def look(tx):
        return await tx.session.scalar(select(OutboxEntry.state).where(OutboxEntry.id == message))

    return in_store(look)


def test_what_reached_nobody_is_listed_first_with_the_reason(casewright, died):
    said = casewright("outbox", "list")
    assert said.code == 0, said.err
    assert died in said.out
    assert "550 no such user" in said.out
    rows = casewright("outbox", "list", "--json").json["messages"]
    assert (rows[0]["id"], rows[0]["state"], rows[0]["case_number"]) == (died, "dead", 1)
    assert [
        row["id"] for row in casewright("outbox", "list", "--state", "dead", "--case", "1", "--json").json["messages"]
    ] == [died]
    assert casewright("outbox", "list", "--state", "delivered").out == "no such messages\n"


def test_a_state_that_is_none_is_refused_with_those_there_are(casewright, died):
    said = casewright("outbox", "list", "--state", "lost")
    assert said.code == 1
    assert "there is no state 'lost'" in said.err
    assert "cancelled" in said.err


def test_one_is_sent_again_or_taken_back(casewright, died, in_store):
    said = casewright("outbox", "retry", died)
    assert (said.code, said.out) == (0, f"message {died} goes out again by email\n"), said.err
    assert state_of(in_store, died) == "pending"
    assert casewright("outbox", "retry", died).code == 1
    said = casewright("outbox", "cancel", died, "--reason", "told by phone")
    assert said.out == f"message {died} is cancelled\n", said.err
    assert state_of(in_store, died) == "cancelled"
    assert "notification.cancelled" in casewright("audit", "tail", "--case", "1").out


def test_a_message_that_is_not_there_is_refused_with_what_to_do(casewright, died):
    said = casewright("outbox", "retry", "nothing-like-it")
    assert said.code == 1
    assert "see: casewright outbox list" in said.err


def test_a_message_is_shown_as_its_reader_gets_it(casewright, asked, tmp_path):
    asked("confirm-source", title="A <b>bold</b> try")
    file = tmp_path / "shown.html"
    said = casewright("notify", "preview", "assigned", "--case", "1", "--html", file)
    assert said.code == 0, said.err
    assert "Subject: [CASE-1] For you:" in said.out
    text = re.search(r"Text message \((\d+) characters, with its marker\):\n(.*)\n", said.out)
    assert text
    assert len(text[2]) == int(text[1])
    assert text[2].endswith(" [C1-7F3A]")
    assert "A <b>bold</b> try" not in file.read_text()
    assert "<html" in file.read_text()
    assert "] Für " in casewright("notify", "preview", "assigned", "--case", "1", "--language", "de").out


@pytest.mark.parametrize(
    "template", ["alarm", "checkpoint", "code", "digest", "escalated", "hidden", "overdue", "test", "warning"]
)
def test_every_message_can_be_shown(casewright, asked, template):
    asked("confirm-source")
    assert casewright("notify", "preview", template, "--case", "1").code == 0


@pytest.mark.parametrize("template", ["alarm", "assigned", "code", "digest", "escalated", "hidden", "test"])
def test_every_message_can_be_shown_of_an_example(casewright, filled, template):
    said = casewright("notify", "preview", template)
    assert said.code == 0, said.err


def test_a_file_that_cannot_be_written_is_said_before_anything_is_shown(casewright, filled, tmp_path):
    said = casewright("notify", "preview", "assigned", "--html", tmp_path / "nowhere" / "x.html")
    assert (said.code, said.out) == (1, "")
    assert "No such file or directory" in said.err
    assert "Name a file that you may write" in said.err


def test_an_example_of_a_personal_link_is_shown_where_there_would_be_one(casewright, asked, monkeypatch):
    asked("confirm-source")
    token = LinkKeys(("k" * 43,)).new_link()[0]
    monkeypatch.setenv("CASEWRIGHT_PUBLIC_URL", "https://soar.example.org")
    link = re.search(r"https://soar.example.org/a/(\S+)", casewright("notify", "preview", "assigned").out)
    assert link
    assert len(link[1]) == len(token)
    assert LinkKeys(("k" * 43,)).read_link(link[1]) is None
    assert "soar.example.org" not in casewright("notify", "preview", "assigned", "--case", "1").out, "no task by link"
    assert "soar.example.org" not in casewright("notify", "preview", "escalated").out, "it asks for nothing"


def test_a_hidden_message_says_in_words_why_it_comes(casewright, filled):
    said = casewright("notify", "preview", "hidden", "--language", "de").out
    assert "(eine Aufgabe wartet)" in said
    assert "assigned" not in said


@pytest.mark.parametrize("command", ["times --since yesterday", "audit export --until tomorrow", "on-call --at noon"])
def test_what_is_no_moment_is_refused_with_one_that_is(casewright, filled, command):
    said = casewright(*command.split())
    assert said.code != 0
    assert "2026-11-24T09:30+01:00" in " ".join(f"{said.out}{said.err}".replace("│", " ").split())


def test_a_message_that_is_none_is_refused_with_those_there_are(casewright, asked):
    asked("confirm-source")
    said = casewright("notify", "preview", "postcard", "--case", "1")
    assert said.code == 1
    assert "there is no message template 'postcard'" in said.err
    assert "assigned" in said.err


def test_own_templates_are_looked_at_before_anything_is_shown(casewright, asked, home):
    asked("confirm-source")
    file = home / "templates" / "en" / "assigned" / "text.txt"
    file.parent.mkdir(parents=True)
    file.write_text("{{ task.title }}\n{% include 'x' %}\n")
    said = casewright("notify", "preview", "overdue", "--case", "1")
    assert said.code == 1
    assert "text.txt:2: templates know no include" in said.err
    file.write_text("Ours: {{ task.title }}")
    assert "Ours: " in casewright("notify", "preview", "assigned", "--case", "1").out
