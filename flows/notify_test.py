"""Sends one test message and tells each step: which settings, how far it came, what the provider said, what to do."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectException

from case_store import channel_tests, contacts, find
from case_store.actor import Actor
from case_store.errors import StoreError
from case_store.models import Person
from case_store.settings import Settings
from case_store.store import CaseStore
from flows import blocks
from flows.channel_setups import Setup, from_environment
from flows.clock import now
from notifiers.contract import Message, Outcome, Recipient
from notifiers.errors import SettingsRefused

_WITHIN = 5.0  # seconds that Prefect has to say which blocks there are
_SUBJECT = "[TEST] Casewright reaches you"
_TEXT = "This is a test of how Casewright reaches you. Nothing is asked of you."

# What an administrator does about it, by the words of the reason; the first that fits.
_MENDING = (
    ("logging in", "Correct the user and the password of the mail server."),
    ("not trusted", "Name the certificates to trust: CASEWRIGHT_SMTP_CA_FILE; and the host as the certificate does."),
    ("agreeing on encryption", "Use the port and CASEWRIGHT_SMTP_SECURITY that the mail server offers."),
    ("naming the sender", "Use a sender that the mail server lets this user send as: CASEWRIGHT_SMTP_FROM."),
    ("20003", "Correct CASEWRIGHT_TWILIO_ACCOUNT_SID and CASEWRIGHT_TWILIO_AUTH_TOKEN."),
)


class NoSuchChannel(StoreError):
    """This channel is not set up here."""


class NotWanted(StoreError):
    """This person wants nothing by this channel."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: to whom, by which channel (None for the first that reaches them), by whom.

    With `anyway` also by a channel by which they want nothing.
    """

    person: str
    channel: str | None
    by: str
    anyway: bool = False


async def notify_test(settings: Settings, asked: Asked) -> int:
    """Send one test message; returns 0 when the provider took it.

    Raises:
        NotFound: Nobody on record is called so.
        NoSuchChannel: The channel is not set up, or none is.
        NotWanted: They opted out of the channel.
        StoreError: The case store cannot be used.
    """
    store = await CaseStore.open(settings)
    try:
        async with store.reading() as tx:
            person, by = await find.person(tx, asked.person), await find.person(tx, asked.by)
        setup = _chosen(await _setups(settings), asked, person)
        _say(f"test message to {person.name} ({person.handle}) by {setup.channel}")
        _warn(setup.channel, person)
        outcome = await _send(setup, person)
        async with store.transaction() as tx:
            await channel_tests.record_test(
                tx,
                await find.person(tx, person.id),
                setup.channel,
                outcome.kind,
                provider_ref=outcome.provider_ref,
                error=None if outcome.kind == "ok" else outcome.reason,
                by=Actor.person(by),
                at=now(),
            )
    finally:
        await store.close()
    return 0 if outcome.kind == "ok" else 1


async def _setups(settings: Settings) -> dict[str, Setup | SettingsRefused]:
    found: dict[str, Setup | SettingsRefused] = {}
    for one in await _of_blocks(settings):
        if isinstance(one, Setup):
            found[one.channel] = one
        else:
            found[one[0]] = one[1]
    try:
        found |= {one.channel: one for one in from_environment(settings)}
    except SettingsRefused as refused:
        raise NoSuchChannel(
            f"the environment sets a channel up wrongly: {refused}", next_step=refused.next_step
        ) from None
    return found


async def _of_blocks(settings: Settings) -> list[Setup | tuple[str, SettingsRefused]]:
    try:
        async with PrefectClient(settings.prefect_api_url, httpx_settings={"timeout": _WITHIN}) as client:
            return await blocks.stored(client, settings)
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        _say(f"Prefect is not reached, so its blocks are not looked at: {error or type(error).__name__}")
        return []


def _chosen(found: Mapping[str, Setup | SettingsRefused], asked: Asked, person: Person) -> Setup:
    channel = asked.channel or next((one for one in contacts.channels_of(person) if one in found), None)
    if channel is None or channel not in found:
        what = f"channel {channel} is not set up" if channel else f"no channel that is set up reaches {person.handle}"
        there = f"set up are: {', '.join(sorted(found))}" if found else "none is set up; see docs/howto/reach-people.md"
        if not asked.channel and (not_used := _not_used(person)):
            there += f"; not used for {person.handle}: {not_used}; name one with --channel"
        raise NoSuchChannel(what, next_step=there)
    if channel in (person.opted_out or ()) and not asked.anyway:
        step = "ask them first; to send one message all the same, add --anyway"
        raise NotWanted(f"{person.handle} wants nothing by {channel}: they opted out", next_step=step)
    one = found[channel]
    if isinstance(one, SettingsRefused):
        raise NoSuchChannel(f"channel {channel} is set up wrongly: {one}", next_step=one.next_step)
    return one


def _not_used(person: Person) -> str:
    """Return by which channels a person is not tried, and why."""
    opted_out = [f"{one} (opted out)" for one in person.opted_out or ()]
    return ", ".join([*opted_out, *(f"{one} (reached nobody)" for one in person.bad_addresses or ())])


def _warn(channel: str, person: Person) -> None:
    """Say what keeps messages from going this way, though this one does."""
    if channel in (person.opted_out or ()):
        _step(f"warning: {person.handle} opted out of {channel}; this message goes all the same, others do not")
    if channel in (person.bad_addresses or ()):
        _step(f"warning: the address of {person.handle} for {channel} reached nobody before; others are not sent to it")


async def _send(setup: Setup, person: Person) -> Outcome:
    _step(f"settings: {setup.told} (from: {setup.origin})")
    try:
        notifier = setup.make(_step)
    except SettingsRefused as refused:
        outcome = Outcome.permanent(str(refused), channel_fault=True)
    else:
        try:
            outcome = await notifier.send(_message(person))
        finally:
            await notifier.close()
    if outcome.kind == "ok":
        _say(f"taken: {outcome.reason}\n  reference: {outcome.provider_ref}")
    else:
        _say(f"not taken ({outcome.kind}): {outcome.reason}\n  next: {next_step(outcome, person.handle)}")
    return outcome


def _message(person: Person) -> Message:
    return Message(
        to=Recipient(person.name, person.email, person.phone),
        subject=_SUBJECT,
        text=f"{_TEXT}\n",
        html=None,
        sms_text=f"TEST: {_TEXT}",
        case_number=None,
        dedup_key=f"test:{uuid4().hex}",
    )


def next_step(outcome: Outcome, handle: str) -> str:
    """Say what to do about a test message that was not taken."""
    if outcome.opted_out:
        return f"Use another channel: {handle} told the provider to send nothing more, and can take that back there."
    if outcome.bad_address or "is on record" in outcome.reason:
        return f"Correct the address of {handle}: casewright people import FILE."
    if outcome.channel_fault:
        fits = (step for words, step in _MENDING if words in outcome.reason)
        return next(fits, "Correct the settings of this channel: docs/howto/reach-people.md names them.")
    if outcome.kind == "temporary":
        return "Test again in a minute; if it stays so, see whether this machine can reach the provider."
    if outcome.kind == "unknown":
        return f"Ask {handle} whether it arrived before you test again."
    return "Read the reason above: the provider does not take this message."


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _step(text: str) -> None:
    _say(f"  - {text}")
