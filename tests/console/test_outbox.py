"""`casewright outbox` and `casewright notify preview`."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import outbox
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
    assert "Text message (" in said.out
    assert "A <b>bold</b> try" not in file.read_text()
    assert "<html" in file.read_text()
    assert "] Für " in casewright("notify", "preview", "assigned", "--case", "1", "--language", "de").out


@pytest.mark.parametrize(
    "template", ["alarm", "checkpoint", "code", "digest", "escalated", "hidden", "overdue", "test", "warning"]
)
def test_every_message_can_be_shown(casewright, asked, template):
    asked("confirm-source")
    assert casewright("notify", "preview", template, "--case", "1").code == 0


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
