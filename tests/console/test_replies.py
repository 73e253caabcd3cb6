"""What came back, at the command line: listed, taken by hand, and why the mailbox is not read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store.links import LinkKeys
from case_store.models import OutboxEntry, Person
from case_store.replies import Addresses, mailboxes
from tests.console.conftest import ENGINE, NOW
from tests.mails import mail


@pytest.fixture
def answer(filled, home, casewright, asked, in_store):
    """A file with what lena answers to the message about a task of hers."""
    assert asked("confirm-source", title="Odd mail") == 1

    async def entry(tx):
        found = (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.channel == "email"))).first()
        person = await tx.session.get_one(Person, found.recipient_id)
        return found.id, person.email

    outbox_id, address = in_store(entry)
    to = Addresses("casewright@localhost", LinkKeys.load(home / "keys")).reply_to(outbox_id)
    file = home / "answer.eml"
    file.write_bytes(mail("says more", to=to, sender=address))
    return file


def take(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Take a file in a process of its own: the command becomes another program."""
    command = [sys.executable, "-m", "console", "reply", "take", str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))


def test_a_mail_is_taken_by_hand_and_once(answer, casewright):
    done = take(answer)
    assert (done.returncode, "acknowledged CASE-1" in done.stdout) == (0, True), done.stderr
    assert "taken before" in take(answer).stdout
    (row,) = casewright("reply", "list", "--json").json["replies"]
    assert (row["outcome"], row["case_number"], row["task"]) == ("acknowledged", 1, "confirm-source")
    shown = casewright("case", "show", "1").out
    assert "Unverified, by email" in shown
    assert "acknowledged" in casewright("reply", "list", "--case", "1").out


def test_what_is_refused_says_why(answer, home):
    stranger = home / "stranger.eml"
    stranger.write_bytes(mail("comment", to="casewright@localhost"))
    refused = take(stranger)
    assert (refused.returncode, refused.stdout.strip()) == (1, "refused (unknown)")
    missing = take(home / "nowhere.eml")
    assert missing.returncode == 1
    assert "next: name a file with one mail" in missing.stderr


def test_a_mailbox_that_cannot_be_read_is_shown(filled, casewright, in_store):
    assert "no mailbox was read so far" in casewright("reply", "mailbox").out

    async def fails(tx):
        reading = await mailboxes.claim(tx, "imap", "t", NOW)
        await mailboxes.failed(tx, reading, "the login is refused", by=ENGINE, at=NOW)

    in_store(fails)
    said = casewright("reply", "mailbox").out
    assert "the login is refused" in said
    (row,) = casewright("reply", "mailbox", "--json").json["mailboxes"]
    assert (row["name"], row["failures"]) == ("imap", 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"CASEWRIGHT_IMAP_HOST": "mail.example"}, "CASEWRIGHT_IMAP_HOST needs CASEWRIGHT_IMAP_USER"),
        (
            {
                "CASEWRIGHT_IMAP_HOST": "mail.example",
                "CASEWRIGHT_IMAP_USER": "a",
                "CASEWRIGHT_IMAP_PASSWORD": "hush",
                "CASEWRIGHT_REPLY_SPOOL": "/tmp/spool",
            },
            "unset one of them",
        ),
        ({"CASEWRIGHT_REPLY_ADDRESS": "SOC <soc@corp.example>"}, "CASEWRIGHT_REPLY_ADDRESS: "),
    ],
)
def test_settings_that_do_not_do_are_refused(filled, casewright, monkeypatch, settings, words):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    refused = casewright("reply", "list")
    assert (refused.code, words in refused.err) == (1, True), refused.err
    assert "hush" not in refused.err


def test_the_preview_says_that_answers_are_read(answer, casewright, monkeypatch, home):
    assert "Answer this mail" not in casewright("notify", "preview", "assigned", "--case", "1").out
    monkeypatch.setenv("CASEWRIGHT_REPLY_SPOOL", str(home))
    assert (
        "Answer this mail with ACK"
        in casewright("notify", "preview", "assigned", "--case", "1", "--language", "en").out
    )
    said = casewright("notify", "preview", "reply", "--case", "1", "--language", "de").out
    assert "Ihre Antwort zu CASE-1" in said
