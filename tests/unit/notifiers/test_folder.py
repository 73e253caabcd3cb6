"""Letters that are kept as files instead of being sent."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from notifiers.contract import Message, Recipient
from notifiers.folder import FolderNotifier
from notifiers.settings import EmailConfig

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = EmailConfig(host="localhost", sender="soc@example.org")


def message(email: str | None = "ana@example.com", key: str = "promise-1") -> Message:
    return Message(Recipient("Ana Ålund", email), "Über a task", "Do it.", "<p>Do it.</p>", "Do it.", 12, key)


async def test_a_letter_is_a_file_that_mail_programs_read(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mail"
    outcome = await FolderNotifier(folder, CONFIG, clock=lambda: AT).send(message())
    (file,) = folder.iterdir()
    letter = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert file.suffix == ".eml"
    assert (letter["Subject"], letter["Message-ID"]) == ("Über a task", outcome.provider_ref)
    assert letter["To"].addresses[0].addr_spec == "ana@example.com"
    assert outcome.kind == "ok"


async def test_the_same_promise_is_the_same_file(tmp_path: Path) -> None:
    notifier = FolderNotifier(tmp_path, CONFIG, clock=lambda: AT)
    for key in ("promise-1", "promise-1", "promise-2"):
        await notifier.send(message(key=key))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("email", [None, "ana@@example.com", "ana@example.com\nBcc: eve@example.com"])
async def test_who_has_no_address_gets_no_file(tmp_path: Path, email: str | None) -> None:
    outcome = await FolderNotifier(tmp_path, CONFIG).send(message(email))
    assert (outcome.kind, list(tmp_path.iterdir())) == ("permanent", [])


async def test_a_folder_that_cannot_be_written_is_named_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    outcome = await FolderNotifier(tmp_path / "mail", CONFIG).send(message())
    assert outcome.kind == "temporary"
    assert str(tmp_path / "mail") in outcome.reason
