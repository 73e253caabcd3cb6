"""What an installation is set up with, on record: settings and SOPs, each change once."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from case_store import configuration, sop_changes, sops
from case_store.configuration import HIDDEN, LEFT_OUT, SHOWN
from case_store.errors import UnauditedChange
from case_store.models import AuditEvent, SopDocument
from case_store.settings import Settings
from case_store.store import CaseStore
from sop.loader import LoadedSop, loads
from tests.store.making import BY, LATER, NOW
from tests.store.world import SOP_TEXT

SECRET = "correct horse"
SET = {
    "smtp_host": "mx.example",
    "smtp_user": "ann@corp.example",
    "smtp_password": SecretStr(SECRET),
    "twilio_auth_token": SecretStr(f"{SECRET} 2"),
    "timestamp_url": "https://me:hush@tsa.example/stamp?token=hush",
    "database_url": "postgresql://me:hush@db.example/cases?password=hush",
}
SOP = loads(SOP_TEXT, "drill.yaml")
CHANGED = loads(f"{SOP_TEXT}# in other words\n", "drill.yaml")


async def note(store: CaseStore, process: str = "relay", **settings: object) -> bool:
    return await configuration.note(store, Settings(**settings), process, by=BY, at=LATER)


async def told(store: CaseStore, family: str = "config") -> list[dict]:
    """The events of a family: each with its type, and its facts."""
    query = select(AuditEvent.body).where(AuditEvent.type.startswith(f"{family}.")).order_by(AuditEvent.id)
    async with store.reading() as tx:
        bodies = [json.loads(body) for body in await tx.session.scalars(query)]
    return [{"type": body["type"], **body["facts"]} for body in bodies]


def test_each_setting_is_shown_hidden_or_left_out_for_a_reason():
    places = [*SHOWN, *HIDDEN, *LEFT_OUT]
    assert sorted(places) == sorted(Settings.model_fields)
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret & SHOWN == set()


async def test_the_first_start_tells_all_settings_and_no_secret(store: CaseStore):
    assert await note(store, **SET, texts_an_hour=9, orphan_after=timedelta(minutes=1), actions=("one", "two"))
    (first,) = await told(store)
    assert (first["process"], first["changed"], first["before"]) == ("relay", [], {})
    shown = first["settings"]
    assert shown.keys() == SHOWN
    assert (shown["texts_an_hour"], shown["orphan_after"], shown["actions"]) == (9, 60, ["one", "two"])
    assert shown["timestamp_url"] == "https://tsa.example/stamp"
    assert shown["database_url"] == "postgresql+asyncpg://db.example/cases"
    set_ = {"database_password", "smtp_user", "smtp_password", "smtp_from", "twilio_auth_token"}
    assert first["hidden"].keys() == set_
    everything = json.dumps(first)
    assert not [word for word in (SECRET, "hush", "ann@", "me:") if word in everything]


async def test_the_same_settings_again_tell_nothing(store: CaseStore):
    assert await note(store, **SET)
    assert not await note(store, "worker", **SET)
    assert len(await told(store)) == 1


@pytest.mark.parametrize(
    ("settings", "changed", "before"),
    [
        ({"smtp_host": "other.example"}, ["smtp_host"], {"smtp_host": "mx.example"}),
        ({"smtp_host": None}, ["smtp_host"], {"smtp_host": "mx.example"}),
        ({"retention": "3y"}, ["retention"], {"retention": None}),
        ({"smtp_password": SecretStr("another")}, ["smtp_password"], {}),
        ({"smtp_password": None}, ["smtp_password"], {}),
        ({"twilio_from": "+4930901820"}, ["twilio_from"], {}),
        ({"database_url": "postgresql://me:new@db.example/cases"}, ["database_password"], {}),
        ({"smtp_user": "bob", "alarm_role": "chief"}, ["alarm_role", "smtp_user"], {"alarm_role": "incident-manager"}),
    ],
)
async def test_what_changed_is_named_once(store: CaseStore, settings, changed, before):
    await note(store, **SET)
    assert await note(store, **{**SET, **settings})
    first, second = await told(store)
    assert (second["changed"], second["before"]) == (changed, before)
    assert second["salt"] != first["salt"], "or two equal digests would show that a secret came back"
    assert not await note(store, **{**SET, **settings})


async def test_what_was_is_compared_with_the_last_and_not_with_the_first(store: CaseStore):
    for host in ("one", "two", "one"):
        assert await note(store, smtp_host=host)
    assert [one["before"] for one in await told(store)] == [{}, {"smtp_host": "one"}, {"smtp_host": "two"}]


async def test_processes_that_start_together_tell_it_once(store: CaseStore, monkeypatch):
    """Both have read that nothing is on record before either writes."""
    both = asyncio.Barrier(2)
    compare = configuration.asyncio.to_thread
    first = []

    async def together(*args):
        if len(first) < 2:
            first.append(args)
            await both.wait()
        return await compare(*args)

    monkeypatch.setattr(configuration.asyncio, "to_thread", together)
    assert sorted(await asyncio.gather(note(store, "relay", **SET), note(store, "worker", **SET))) == [False, True]
    assert len(await told(store)) == 1


async def library(store: CaseStore, *found: LoadedSop) -> int:
    async with store.transaction() as tx:
        return await sop_changes.note_library(tx, found, by=BY, at=NOW)


async def deployed(store: CaseStore, *found: LoadedSop) -> int:
    async with store.transaction() as tx:
        return await sop_changes.note_deployed(tx, found, by=BY, at=NOW)


def said(type_: str, loaded: LoadedSop, **more: object) -> dict:
    return {"type": type_, "key": "drill", "version": loaded.sop.version, "sha256": loaded.digest, **more}


async def test_an_sop_is_new_once_and_changed_as_often_as_it_changes(store: CaseStore):
    assert [await library(store, one) for one in (SOP, SOP, CHANGED, CHANGED, SOP)] == [1, 0, 1, 0, 1]
    assert await told(store, "sop") == [
        said("sop.added", SOP),
        said("sop.changed", CHANGED, before=SOP.digest),
        said("sop.changed", SOP, before=CHANGED.digest),
    ]


async def test_each_sop_is_compared_with_itself(store: CaseStore):
    other = replace(SOP, sop=SOP.sop.model_copy(update={"key": "other"}), digest="1" * 64)
    assert await library(store, SOP, other) == 2
    assert await library(store, other, CHANGED) == 1
    assert [(one["type"], one["key"]) for one in await told(store, "sop")][2:] == [("sop.changed", "drill")]


async def test_processes_that_start_together_tell_of_an_sop_once(store: CaseStore):
    assert sorted(await asyncio.gather(*(library(store, SOP) for _ in range(4)))) == [0, 0, 0, 1]


async def test_a_deployment_tells_of_what_prefect_did_not_have(store: CaseStore):
    assert [await deployed(store, one) for one in (SOP, SOP, CHANGED)] == [1, 0, 1]
    assert await told(store, "sop") == [said("sop.deployed", SOP), said("sop.deployed", CHANGED)]


async def test_the_words_of_an_sop_are_kept_with_an_event_and_once(store: CaseStore):
    for _ in range(2):
        async with store.transaction() as tx:
            await sops.pin(tx, SOP, by=BY, at=NOW)
    assert await told(store, "sop") == [said("sop.pinned", SOP)]


async def test_no_sop_is_kept_without_an_event(store: CaseStore):
    with pytest.raises(UnauditedChange):
        async with store.transaction() as tx:
            tx.session.add(SopDocument(digest=SOP.digest, key="drill", version=1, text=SOP.text))
