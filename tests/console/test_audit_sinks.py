"""Where the record goes, at the command line."""

import asyncio
import json
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest

from case_store.actor import Actor
from case_store.audit import keys, sequencer
from case_store.settings import Settings
from case_store.sinks import state
from case_store.sinks.address import configured
from case_store.store import CaseStore
from flows.relay import forward
from tests.syslog import Parsed, SyslogServer


@pytest.fixture
def sinks(filled, home, monkeypatch):
    """Two sinks for events, one of which is down, and two for checkpoints."""
    monkeypatch.setenv("CASEWRIGHT_FORWARD_TO", f"file://{home}/out.jsonl syslog+tcp://127.0.0.1:1?name=siem")
    monkeypatch.setenv("CASEWRIGHT_CHECKPOINT_TO", f"file://{home}/points.jsonl mailto:dana@demo.example")
    return filled


def relayed(home):
    """Do what a relay does in its first seconds."""

    async def do():
        settings = Settings()
        store = await CaseStore.open(settings)
        async with store.transaction() as tx:
            await state.register(tx, configured(settings), by=Actor.system("relay"), at=datetime.now(UTC))
        await sequencer.seal(store, keys.load_or_create(home / "keys"), datetime.now(UTC))
        for address in configured(settings):
            refused = pytest.raises(forward.SinkDown, match="refused") if ":1?" in address.url else nullcontext()
            with refused:
                await forward.Delivery(store, address).step()
        await store.close()

    asyncio.run(do())


def test_nothing_is_said_to_go_nowhere(filled, casewright):
    listed = casewright("audit", "sinks")
    assert (listed.code, "the record goes nowhere" in listed.out) == (0, True)
    assert casewright("audit", "sinks", "--json").json == {"sinks": []}


def test_the_listing_tells_what_each_sink_got_and_what_to_do(sinks, casewright, home):
    before = casewright("audit", "sinks")
    assert before.out.count("none has seen this sink yet") == 4
    relayed(home)
    rows = {row["name"]: row for row in casewright("audit", "sinks", "--json").json["sinks"]}
    assert rows["events/out.jsonl"]["cursor"] == len((home / "out.jsonl").read_text().splitlines()) > 4
    assert (rows["events/out.jsonl"]["behind"], rows["events/out.jsonl"]["next_step"]) == (0, "")
    assert rows["events/siem"]["behind"] == rows["events/out.jsonl"]["cursor"]
    assert "Connection refused" in rows["events/siem"]["error"]
    assert rows["checkpoints/points.jsonl"]["size"] == rows["events/out.jsonl"]["cursor"]
    after = casewright("audit", "sinks")
    assert "casewright audit sinks test events/siem" in after.out


def test_what_a_file_got_is_what_verifies(sinks, casewright, home, tmp_path):
    relayed(home)
    (line,) = (home / "points.jsonl").read_text().splitlines()
    saved = tmp_path / "saved.txt"
    saved.write_text(json.loads(line)["note"])
    casewright("audit", "export", "--bundle", tmp_path / "all.zip")
    verified = casewright("audit", "verify", tmp_path / "all.zip", "--checkpoint", saved)
    assert verified.code == 0, verified.out


def test_a_test_sends_one_line(sinks, casewright, home, monkeypatch):
    with SyslogServer() as server:
        monkeypatch.setenv("CASEWRIGHT_FORWARD_TO", f"syslog+tcp://127.0.0.1:{server.port}?name=siem")
        sent = casewright("audit", "sinks", "test", "events/siem")
        assert (sent.code, "took the line" in sent.out) == (0, True), sent.err
        (message,) = server.messages
    assert Parsed.of(message).msgid == "sink.test"
    assert json.loads(Parsed.of(message).text)["sink"] == "events/siem"


def test_a_test_of_mail_promises_the_checkpoint(sinks, casewright, home):
    relayed(home)
    (name,) = [row["name"] for row in casewright("audit", "sinks", "--json").json["sinks"] if "mail-" in row["name"]]
    sent = casewright("audit", "sinks", "test", name)
    assert (sent.code, "promised" in sent.out) == (0, True), sent.err


@pytest.mark.parametrize(
    "words", [("test", "events/none"), ("test", "events/siem"), ("rewind", "events/none", "--to", "0")]
)
def test_what_does_not_work_is_said_with_what_to_do(sinks, casewright, words):
    refused = casewright("audit", "sinks", *words)
    assert refused.code == 1
    assert "next:" in refused.err


def test_a_rewind_delivers_again_and_is_on_record(sinks, casewright, home, in_store):
    relayed(home)
    first = (home / "out.jsonl").read_text().splitlines()
    assert casewright("audit", "sinks", "rewind", "events/out.jsonl", "--to", "1").code == 0
    relayed(home)
    again = (home / "out.jsonl").read_text().splitlines()[len(first) :]
    assert again[: len(first) - 1] == first[1:]
    told = json.loads(again[-1])
    assert (told["type"], told["facts"]["to"], told["actor"]["kind"]) == ("audit.sink_rewound", 1, "person")
    too_far = casewright("audit", "sinks", "rewind", "events/out.jsonl", "--to", "99999")
    assert (too_far.code, "set back" in too_far.err) == (1, True)


@pytest.mark.parametrize("url", ["syslog+tls://user:hunter2@siem", "ftp://siem", "file:///x?format=nothing"])
def test_a_wrong_url_is_refused_at_the_start_and_no_password_is_told(filled, casewright, monkeypatch, url):
    monkeypatch.setenv("CASEWRIGHT_FORWARD_TO", url)
    refused = casewright("audit", "sinks")
    assert (refused.code, "CASEWRIGHT_FORWARD_TO" in refused.err) == (1, True)
    assert "hunter2" not in refused.err + refused.out
