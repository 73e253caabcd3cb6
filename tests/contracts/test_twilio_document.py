"""Every request we make of Twilio is valid by its API document; Prism, a mock that knows the document, is the judge."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from notifiers.contract import Found, NotAsked
from notifiers.settings import SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing import example_message
from tests.conftest import missing
from tests.prism import HOW_TO_GET_IT, PrismMissing, prism_for

DOCUMENT = Path(__file__).with_name("twilio_messages.json")
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
AT = datetime(2026, 11, 24, 12, 59, tzinfo=UTC)


# Twilio's own document, which is long, may lie beside this checkout; then it judges as well.
PUBLISHED = Path(__file__).parents[3] / "shared" / "twilio" / "twilio_messages_v2010.json"
DOCUMENTS = [DOCUMENT, *([PUBLISHED] if PUBLISHED.exists() else [])]


@pytest.fixture(scope="module", params=DOCUMENTS, ids=lambda document: document.stem)
def twilio(request: pytest.FixtureRequest) -> Iterator[str]:
    document: Path = request.param
    try:
        with prism_for(document) as url:
            yield url
    except PrismMissing as error:
        missing(str(error), HOW_TO_GET_IT)


@asynccontextmanager
async def sms_to(url: str, **changes) -> AsyncIterator[SmsNotifier]:
    config = {
        "account_sid": "AC" + "0" * 32,
        "auth_token": SecretStr("any"),
        "messaging_service_sid": "MG" + "1" * 32,
        "base_url": url,
        **changes,
    }
    notifier = SmsNotifier(SmsConfig(**config))
    try:
        yield notifier
    finally:
        await notifier.close()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"messaging_service_sid": None, "sender": "+1 415 555 0000"},
        {"status_callback": "https://casewright.corp.example/hooks/twilio/status"},
    ],
    ids=["service", "number", "callback"],
)
@pytest.mark.parametrize(
    "message",
    [
        {},
        {"useful_for": timedelta(minutes=15)},
        {"useful_for": timedelta(days=3)},
        {"receipt_name": "01a22ed4-862a-772a-a309-cdbd2fd8081e.1772442000000000"},
        {"phone": "+49 (0)30 123-4567"},
        {"sms_text": "häl\n日本 & 100 % + ="},
        {"sms_text": "x" * 1589},
    ],
    ids=["plain", "useful for a while", "useful for long", "named", "number", "words", "longest"],
)
async def test_what_we_send_is_valid(twilio: str, changes: dict, message: dict):
    async with sms_to(twilio, **changes) as sms:
        outcome = await sms.send(example_message(**message))
    assert outcome.kind == "ok", outcome.reason
    assert outcome.provider_ref is not None
    assert outcome.provider_ref.startswith("SM")


async def test_what_we_ask_is_valid(twilio: str):
    async with sms_to(twilio) as sms:
        found = await sms.find(example_message(phone="+14155552671"), AT)
    assert not isinstance(found, NotAsked), found


async def test_what_the_document_shows_is_read():
    """Ours shows the text that is looked for."""
    try:
        with prism_for(DOCUMENT) as url:
            async with sms_to(url) as sms:
                found = await sms.find(example_message(), AT)
    except PrismMissing as error:
        missing(str(error), HOW_TO_GET_IT)
    assert isinstance(found, Found)
    assert found.provider_ref == "SM" + "1" * 32


@pytest.mark.parametrize("wrong", [{"messaging_service_sid": "MG-short"}, {"account_sid": "AC1"}], ids=repr)
async def test_what_is_not_valid_would_be_found_out(twilio: str, wrong: dict):
    """Else the judge is asleep."""
    async with sms_to(twilio, **wrong) as sms:
        outcome = await sms.send(example_message())
    assert outcome.kind == "permanent"
    assert "422" in outcome.reason


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_our_document_says_what_the_published_one_says(document: Path):
    ours, theirs = (json.loads(one.read_text()) for one in (DOCUMENT, document))
    for method in ("get", "post"):
        mine, other = (one["paths"][MESSAGES][method] for one in (ours, theirs))
        by_name = {one["name"]: one["schema"] for one in other["parameters"]}
        assert all(by_name[one["name"]] == one["schema"] for one in mine["parameters"])
    form = "application/x-www-form-urlencoded"
    mine, other = (one["paths"][MESSAGES]["post"]["requestBody"]["content"][form]["schema"] for one in (ours, theirs))
    assert mine["required"] == other["required"]
    for name, schema in mine["properties"].items():
        said = other["properties"][name]
        assert {key: said.get(key) for key in schema} == schema
