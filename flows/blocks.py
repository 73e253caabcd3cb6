"""Blocks in which an automation engineer sets up channels in Prefect's UI; `deploy` and the relay register them.

Whoever can use Prefect's API can read what is in a block. Where that is too many, the environment is the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectNotFound
from pydantic import Field, SecretStr, ValidationError

from case_store.settings import Settings
from flows import channel_setups as setups
from flows.channel_setups import Setup
from notifiers.errors import SettingsRefused
from notifiers.room_settings import PAGERDUTY, AppriseConfig, PagerDutyConfig, Severity

PREFERRED = "casewright"
"""Name of the block that counts when there are several of one type."""


_PAGES_NEED_IT = (
    "Its token. The pages that Twilio reports to do not read blocks: to hear what becomes of texts, and what people"
    " answer, set CASEWRIGHT_TWILIO_AUTH_TOKEN to it as well, for the relay and for casewright web."
)


class ChannelBlock(Block):
    """What the blocks of all channels share."""

    channel: ClassVar[str]

    def setup(self, origin: str, settings: Settings) -> Setup:
        """Set the channel up as the block says.

        Raises:
            SettingsRefused: The block contradicts itself or is not safe.
        """
        raise NotImplementedError


class CasewrightEmail(ChannelBlock):
    """The mail server that Casewright sends its messages through."""

    _block_type_name = "Casewright e-mail"
    _block_type_slug = "casewright-email"
    channel = "email"

    host: Annotated[str, Field(description="Mail server; its certificate must bear this name.")]
    port: Annotated[int, Field(description="Usually 587 for starttls, 465 for tls.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"], Field(description="none is only for a server on the same machine.")
    ] = "starttls"
    sender: Annotated[str, Field(description="Sender of the mail, such as: Casewright <soc@corp.example>")]
    user: Annotated[str | None, Field(description="User at the mail server.")] = None
    password: Annotated[SecretStr | None, Field(description="Password at the mail server.")] = None

    def setup(self, origin: str, settings: Settings) -> Setup:
        """Set e-mail up. Which certificates are trusted is a matter of the relay's machine."""
        config = setups.email_config(
            self.sender,
            self.host,
            port=self.port,
            encryption=setups.ENCRYPTION[self.security],
            username=self.user or None,
            password=self.password,
            ca_file=settings.smtp_ca_file,
        )
        return setups.of_email(config, origin)


class CasewrightSms(ChannelBlock):
    """The Twilio account that Casewright sends its texts through.

    What becomes of texts, and what people answer, is heard if CASEWRIGHT_TWILIO_AUTH_TOKEN has the token too.
    """

    _block_type_name = "Casewright SMS"
    _block_type_slug = "casewright-sms"
    channel = "sms"

    account_sid: Annotated[str, Field(description="The account: AC and 32 digits.")]
    auth_token: Annotated[SecretStr, Field(description=_PAGES_NEED_IT)]
    sender: Annotated[str, Field(description="MG... for a messaging service, or a number such as +14155550000.")]

    def setup(self, origin: str, settings: Settings) -> Setup:
        """Set texts up."""
        return setups.of_sms(setups.sms_config(self.account_sid, self.auth_token, self.sender, settings), origin)


class CasewrightPagerDuty(ChannelBlock):
    """The service at PagerDuty that is alerted."""

    _block_type_name = "Casewright PagerDuty"
    _block_type_slug = "casewright-pagerduty"
    channel = "pagerduty"

    integration_key: Annotated[SecretStr, Field(description="Integration key of the service, for Events API v2.")]
    severity: Annotated[Severity, Field(description="What PagerDuty is told how bad it is.")] = "critical"

    def setup(self, origin: str, settings: Settings) -> Setup:
        """Set PagerDuty up."""
        url = settings.pagerduty_url or PAGERDUTY
        config = PagerDutyConfig(routing_key=self.integration_key, severity=self.severity, url=url)
        return setups.of_pagerduty(config, origin)


class CasewrightSlack(ChannelBlock):
    """The channel in Slack that Casewright posts to."""

    _block_type_name = "Casewright Slack"
    _block_type_slug = "casewright-slack"
    channel = "slack"

    webhook_url: Annotated[SecretStr, Field(description="Address of the incoming webhook.")]

    def setup(self, origin: str, settings: Settings) -> Setup:  # noqa: ARG002 - the base class's
        """Set Slack up."""
        return setups.of_webhook(self.channel, self.webhook_url, origin)


class CasewrightTeams(CasewrightSlack):
    """The channel in Microsoft Teams that Casewright posts to."""

    _block_type_name = "Casewright Teams"
    _block_type_slug = "casewright-teams"
    channel = "teams"

    webhook_url: Annotated[SecretStr, Field(description="Address of the workflow that posts a card it is sent.")]


class CasewrightApprise(ChannelBlock):
    """One more target, reached through Apprise; the name of the block is the target's: channel apprise:NAME."""

    _block_type_name = "Casewright Apprise"
    _block_type_slug = "casewright-apprise"
    channel = "apprise"

    url: Annotated[SecretStr, Field(description="The target as Apprise writes it, such as ntfys://host/topic.")]
    _name: str = ""

    def named(self, name: str) -> Self:
        """Say what the block is called."""
        self._name = name
        return self

    def setup(self, origin: str, settings: Settings) -> Setup:  # noqa: ARG002 - the base class's
        """Set the target up."""
        return setups.of_apprise(AppriseConfig(name=self._name, url=self.url), origin)


EVERY: tuple[type[ChannelBlock], ...] = (
    CasewrightEmail,
    CasewrightSms,
    CasewrightPagerDuty,
    CasewrightSlack,
    CasewrightTeams,
    CasewrightApprise,
)


async def register(client: PrefectClient) -> None:
    """Have Prefect's UI offer our types of blocks."""
    for block in EVERY:
        await block.register_type_and_schema(client=client)


async def stored(client: PrefectClient, settings: Settings) -> list[Setup | tuple[str, SettingsRefused]]:
    """Give the channels that blocks set up; for one whose block does not do, its name and what is wrong."""
    found: list[Setup | tuple[str, SettingsRefused]] = []
    for block in EVERY:
        slug = block.get_block_type_slug()
        try:
            documents = await client.read_block_documents_by_type(slug, include_secrets=True)
        except ObjectNotFound:  # not registered yet
            continue
        for document in _that_count(block, documents):
            channel = f"apprise:{document.name}" if block is CasewrightApprise else block.channel
            try:
                found.append(_setup(block, document, settings))
            except SettingsRefused as refused:
                found.append((channel, refused))
    return found


def _that_count(block: type[ChannelBlock], documents: list[BlockDocument]) -> Iterator[BlockDocument]:
    if block is CasewrightApprise:
        yield from documents
    elif documents:
        yield min(documents, key=lambda one: (one.name != PREFERRED, one.name))


def _setup(block: type[ChannelBlock], document: BlockDocument, settings: Settings) -> Setup:
    origin = f"block {document.name} ({block.get_block_type_name()})"
    try:
        made = block.model_validate(_values(document))
    except ValidationError as error:
        # Only names and reasons: a value may be a secret.
        wrong = ", ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()
        )
        raise SettingsRefused(
            f"{origin}: {wrong}", next_step="Open the block in Prefect's UI and correct it."
        ) from None
    if isinstance(made, CasewrightApprise):
        made.named(str(document.name))
    try:
        return made.setup(origin, settings)
    except SettingsRefused as refused:
        raise SettingsRefused(f"{origin}: {refused}", next_step=refused.next_step) from None


def _values(document: BlockDocument) -> dict[str, Any]:
    return {name: value for name, value in document.data.items() if value is not None}
