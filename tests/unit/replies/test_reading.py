"""Mails are read for what their writer wrote, as all mail programs and all attackers write them."""

import resource

import pytest

from case_store.links import LinkKeys
from case_store.replies import Addresses
from flows.actions.messages import read_message
from flows.replies.reading import read_letter
from flows.replies.wording import Wording, wording
from tests.mails import CORPUS, mail, plain

ADDRESSES = Addresses("soc@corp.example", LinkKeys(("k" * 43,)))
MESSAGE = "01a22eb3-166b-717f-a7e4-7bac75d8929b"


@pytest.mark.parametrize("name", CORPUS)
def test_each_mail_is_read_as_it_was_meant(name: str):
    made, letter = CORPUS[name], read_letter(mail(name, to=ADDRESSES.reply_to(MESSAGE)), ADDRESSES)
    assert (letter.automatic, letter.said.kind) == (made.automatic, made.kind)
    assert letter.said.text.startswith(made.text)
    assert "Read what to do" not in letter.said.text, "what is quoted is not said"
    assert made.more is None or letter.more == made.more
    assert letter.named is not None
    assert letter.named.outbox_id == MESSAGE


@pytest.mark.parametrize(
    ("name", "sender"),
    [
        ("gmail", "ada@example.org"),
        ("two senders", None),
        ("two from", None),
        ("name that looks like an address", "eve@evil.example"),
    ],
)
def test_one_address_is_the_sender_or_none(name: str, sender: str | None):
    assert read_letter(mail(name), ADDRESSES).sender == sender


def test_a_mail_is_the_same_by_whatever_way_it_comes():
    came = mail("gmail")
    again = b"Received: by another.example; Mon, 2 Mar 2026 11:00:00 +0100\r\n" + came.replace(b"\r\n", b"\n")
    assert read_letter(came, ADDRESSES).key == read_letter(again, ADDRESSES).key
    others = [mail("gmail", number=2), came.replace(b"looking", b"lookING"), mail("outlook")]
    assert len({read_letter(one, ADDRESSES).key for one in (came, *others)}) == 4


def test_a_mail_without_a_name_is_told_by_its_bytes():
    came = mail("gmail").replace(b"Message-ID", b"X-Nothing")
    assert read_letter(came, ADDRESSES).key == read_letter(came, ADDRESSES).key
    assert read_letter(came, ADDRESSES).key != read_letter(b"X: y\r\n" + came, ADDRESSES).key


def test_a_report_says_what_became_of_which_address():
    report = read_letter(mail("bounce", sender="Ada@Example.org"), ADDRESSES).report
    assert report is not None
    assert (report.action, report.status, report.recipients) == ("failed", "5.1.1", ("ada@example.org",))
    assert read_letter(mail("no report in the report"), ADDRESSES).report is None


def test_of_a_mail_that_is_too_large_its_beginning_tells_whose_it_is():
    letter = read_letter(mail("gmail", to=ADDRESSES.reply_to(MESSAGE))[:700], ADDRESSES, whole=False)
    assert (letter.raw, letter.said.text) == (None, "")
    assert letter.named is not None


@pytest.mark.parametrize(
    "body", ["On " * 6_000, "\t\n" * 10_000, "Le " * 6_000, ("Warning: " + "mail," * 200 + "\n") * 20, "> " * 10_000]
)
def test_no_text_holds_the_reader_up(body: str):
    """The expressions that tell quotes take minutes for some of these; the process that runs them may not."""
    found = wording(read_message(plain(f"{body}\n\n> quoted").encode()))
    assert "quoted" not in found.text


def test_what_takes_too_long_is_cut_at_the_first_quote(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flows.replies.wording._WALL", 0.001)
    found = wording(read_message(plain("ack\nlater\n> quoted\nnot seen").encode()))
    assert found == Wording("ack\nlater", more=True)
    assert "within the limits" in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 1000,
        b"From: " + b"<" * 50_000,
        b"Subject: =?" + b"utf-8?q?" * 20_000,
        b"Content-Type: multipart/mixed; boundary=a\n\n"
        + b"--a\nContent-Type: multipart/mixed; boundary=a\n\n" * 3_000,
        b"Content-Type: message/rfc822\n\n" * 2_000,
        b"To: " + b"a@b.example, " * 20_000 + b"\n\nack",
        b"\n\n".join([b"--a\nContent-Type: text/plain\n\nx"] * 5_000),
    ],
)
def test_whatever_comes_makes_a_letter(raw: bytes):
    letter = read_letter(raw, ADDRESSES)
    assert letter.key
    assert letter.named is None


def test_no_setting_of_ours_limits_this_process():
    before = resource.getrlimit(resource.RLIMIT_CPU)
    wording(read_message(mail("gmail")))
    assert resource.getrlimit(resource.RLIMIT_CPU) == before
