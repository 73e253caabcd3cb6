"""Channels that an automation engineer sets up in Prefect, on a real server; and how the environment beats them."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from pydantic import SecretStr

from case_store.settings import Settings
from flows import blocks
from flows.channel_setups import Setup
from flows.relay.channels import channels as of_environment
from flows.relay.channels import every_channel
from notifiers.contract import Notifier
from notifiers.email import EmailNotifier
from notifiers.testing import example_message
from notifiers.testing.rooms import FakeRooms, Reply
from notifiers.testing.smtp import SmtpServer
from tests.site import Site

SECRET = "made-up-secret-of-a-block"


@pytest.fixture
async def client(site: Site) -> AsyncIterator[PrefectClient]:
    """Prefect's client, for a server that offers our types and has no blocks yet."""
    async with PrefectClient(site.api) as one:
        await blocks.register(one)
        yield one
        for block in blocks.EVERY:
            for document in await one.read_block_documents_by_type(block.get_block_type_slug()):
                await one.delete_block_document(document.id)


async def set_up(settings: Settings, client: PrefectClient) -> dict[str, Notifier]:
    return await every_channel(of_environment(settings), settings, client)


async def fill_in(client: PrefectClient, slug: str, name: str, values: dict) -> None:
    """Make a block as the form in Prefect's UI does: by the API, from the type's schema."""
    block_type = await client.read_block_type_by_slug(slug)
    found = await client._client.post(
        "/block_schemas/filter", json={"block_schemas": {"block_type_id": {"any_": [str(block_type.id)]}}}
    )
    [schema] = found.json()
    asked = {
        "name": name,
        "data": values,
        "block_type_id": str(block_type.id),
        "block_schema_id": schema["id"],
        "is_anonymous": False,
    }
    (await client._client.post("/block_documents/", json=asked)).raise_for_status()


async def test_prefect_offers_our_types_with_their_words_and_hides_their_secrets(client: PrefectClient):
    await fill_in(client, "casewright-slack", "casewright", {"webhook_url": f"https://hooks.example/{SECRET}"})
    answer = await client._client.get("/block_types/slug/casewright-slack/block_documents")
    assert SECRET not in answer.text
    for block in blocks.EVERY:
        block_type = await client.read_block_type_by_slug(block.get_block_type_slug())
        assert block_type.name.startswith("Casewright ")
        assert block_type.description


async def test_mail_goes_as_a_block_says(client: PrefectClient, tmp_path: Path):
    async with SmtpServer() as server:
        values = {"host": server.host, "port": server.port, "security": "none", "sender": "SOC <soc@corp.example>"}
        await fill_in(client, "casewright-email", "mail", values)
        mail = (await set_up(Settings(home=tmp_path), client))["email"]
        assert (await mail.send(example_message())).kind == "ok"
        await mail.close()
        [got] = server.received
    assert got.letter["From"] == "SOC <soc@corp.example>"


async def test_the_environment_wins_as_a_whole(client: PrefectClient, tmp_path: Path):
    """Not one field of the block is mixed in: neither its password nor its server."""
    values = {
        "host": "elsewhere.example",
        "sender": "x@elsewhere.example",
        "user": "x",
        "password": SECRET,
    }
    await fill_in(client, "casewright-email", "casewright", values)
    found = await set_up(Settings(home=tmp_path, smtp_host="mail.corp.example", smtp_from="soc@corp.example"), client)
    assert isinstance(found["email"], EmailNotifier)
    config = found["email"]._config
    assert (config.host, config.username, config.password) == ("mail.corp.example", None, None)


async def test_of_several_blocks_the_one_named_casewright_counts(client: PrefectClient, tmp_path: Path):
    for name in ("another", "casewright", "zeroth"):
        await fill_in(client, "casewright-email", name, {"host": f"{name}.example", "sender": "soc@corp.example"})
    found = await set_up(Settings(home=tmp_path), client)
    assert found["email"]._config.host == "casewright.example"


async def test_each_block_of_apprise_is_a_channel(client: PrefectClient, tmp_path: Path):
    async with FakeRooms(Reply(200, "{}")) as rooms:
        for name in ("soc-chat", "night-shift"):
            await fill_in(client, "casewright-apprise", name, {"url": f"ntfy://127.0.0.1:{rooms.port}/{name}"})
        found = await set_up(Settings(home=tmp_path), client)
        assert set(found) == {"apprise:soc-chat", "apprise:night-shift"}
        for one in found.values():
            assert (await one.send(example_message())).kind == "ok"
            await one.close()
        assert {request.json["topic"] for request in rooms.requests} == {"soc-chat", "night-shift"}


def _public(home: Path, **more: object) -> Settings:
    return Settings(home=home, public_url="https://casewright.corp.example", **more)


async def test_every_type_of_block_sets_its_channel_up(client: PrefectClient, tmp_path: Path):
    await fill_in(client, "casewright-pagerduty", "casewright", {"integration_key": SECRET, "severity": "error"})
    await fill_in(client, "casewright-teams", "casewright", {"webhook_url": f"https://teams.example/{SECRET}"})
    await fill_in(client, "casewright-slack", "casewright", {"webhook_url": f"https://hooks.example/{SECRET}"})
    sms = {"account_sid": "AC" + "0" * 32, "auth_token": SECRET, "sender": "MG" + "1" * 32}
    await fill_in(client, "casewright-sms", "casewright", sms)
    found = await blocks.stored(client, _public(tmp_path))
    assert [one.channel for one in found if isinstance(one, Setup)] == ["sms", "pagerduty", "slack", "teams"]
    assert SECRET not in repr(found)
    assert "CASEWRIGHT_TWILIO_AUTH_TOKEN" in found[0].told, "the pages could not believe what Twilio reports"
    assert (await set_up(_public(tmp_path), client))["sms"]._config.status_callback is None
    for token, callback in ((SECRET, "https://casewright.corp.example/hooks/twilio/status"), ("another", None)):
        sms = (await set_up(_public(tmp_path, twilio_auth_token=SecretStr(token)), client))["sms"]
        assert sms._config.status_callback == callback
    channels = await set_up(Settings(home=tmp_path), client)
    assert channels["pagerduty"]._config.routing_key == SecretStr(SECRET)
    assert channels["pagerduty"]._config.severity == "error"


@pytest.mark.parametrize(
    ("slug", "values", "complaint"),
    [
        ("casewright-email", {"host": "10.0.0.1", "security": "none", "sender": "a@b.example"}, "unencrypted"),
        ("casewright-email", {"host": "mail.example", "sender": "a@b.example", "password": SECRET}, "user name"),
        ("casewright-slack", {"webhook_url": f"http://hooks.example/{SECRET}"}, "unencrypted"),
        ("casewright-apprise", {"url": f"json://{SECRET}"}, "not a kind of target"),
    ],
)
async def test_a_block_that_does_not_do_keeps_its_messages_waiting_and_nobody_elses(
    client: PrefectClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, slug: str, values: dict, complaint: str
):
    await fill_in(client, slug, "casewright", values)
    with caplog.at_level(logging.ERROR):
        found = await set_up(Settings(home=tmp_path, pagerduty_key=SecretStr("k")), client)
    [wrong] = found.keys() - {"pagerduty"}
    outcome = await found[wrong].send(example_message())
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert complaint in outcome.reason
    assert complaint in caplog.text
    assert SECRET not in caplog.text + outcome.reason


async def test_while_prefect_is_away_nothing_is_given_up(
    client: PrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A message by a channel that nobody knows yet would be dead; so the answer is waited for."""
    tries = []

    async def away(_client: PrefectClient) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise httpx.ConnectError("nobody there")

    monkeypatch.setattr("flows.blocks.register", away)
    monkeypatch.setattr("flows.relay.channels._ASK_AGAIN", 0)
    await fill_in(client, "casewright-slack", "casewright", {"webhook_url": "https://hooks.example/x"})
    assert set(await set_up(Settings(home=tmp_path), client)) == {"slack"}
    assert len(tries) == 3
