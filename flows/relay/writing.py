"""Makes of a promise the message that a channel carries: the words, in the recipient's language."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from case_store.models import Case, JsonMap, OutboxEntry, Person
from case_store.notices import hides_content
from case_store.replies import Addresses
from notifiers.contract import Attachment, Message, Recipient
from notifiers.render import CODE, HIDDEN, REPLY, Rendered, render


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes messages.

    Attributes:
        link: Where people decide.
        own: The folder of the installation's own templates.
        personal_link: Makes a link by which this person may answer; it gives None where nobody may.
        answerable: Gives the addresses at which mails are answered; None where no answers are read.
    """

    link: str
    own: Path | None = None
    personal_link: Callable[[OutboxEntry, Person], Awaitable[str | None]] | None = None
    answerable: Callable[[], Addresses | None] = lambda: None

    def envelope(self, entry: OutboxEntry, person: Person, case: Case | None) -> Message:
        """Return the message of a promise without its words: by it a provider is asked whether it has the message."""
        return Message(
            to=Recipient(person.name, person.email, person.phone),
            subject="",
            text="",
            html=None,
            sms_text="",
            case_number=case.number if case else None,
            dedup_key=entry.dedup_key,
        )

    async def message(
        self, entry: OutboxEntry, person: Person, case: Case | None, receipt_name: str | None = None
    ) -> Message:
        """Write the message of a promise, for a try that comes now: it makes the reader's link.

        Args:
            entry: The promise.
            person: Its recipient.
            case: Its case.
            receipt_name: Names this try in the receipts of the provider.

        Raises:
            RenderRefused: The template, or a fact, is not as it has to be.
        """
        # In a thread: a template of the installation's own is filled in by a process that is waited for.
        link = await self.personal_link(entry, person) if self.personal_link else None
        writer = replace(self, link=link or self.link)
        addresses = await asyncio.to_thread(self.answerable) if entry.channel == "email" else None
        can_reply = addresses is not None and entry.case_id is not None
        context = {**entry.context, "can_reply": can_reply}
        words = await asyncio.to_thread(writer.words, entry.template, context, case, person.language)
        return replace(
            self.envelope(entry, person, case),
            subject=words.subject,
            text=words.text,
            html=words.html,
            sms_text=words.sms,
            attachments=_attachments(entry),
            useful_for=entry.not_after - entry.tried_at if entry.not_after and entry.tried_at else None,
            link=self.link,
            receipt_name=receipt_name,
            reply_to=addresses.reply_to(entry.id) if addresses and can_reply else None,
            bounce_to=addresses.bounce_to(entry.id) if addresses else None,
        )

    def words(self, template: str, context: Mapping[str, object], case: Case | None, language: str | None) -> Rendered:
        """Return the words; those about a case that is not for every eye say nothing but where to look.

        Raises:
            RenderRefused: The template, or a fact, is not as it has to be.
        """
        facts = {**_by_line(context), "link": self.link}
        if case is not None and hides_content(case):
            if template == CODE:  # without it nobody can sign
                return render(CODE, {**facts, "task": {"title": "..."}}, language, self.own)
            if template == REPLY:  # it says what became of an answer, and nothing of the case
                return render(REPLY, facts, language, self.own)
            shown = {"case": {"number": case.number}, "link": self.link, "due": facts.get("due"), "about": template}
            return render(HIDDEN, {**shown, "recipient": facts["recipient"]}, language, self.own)
        return render(template, facts, language, self.own)


def _by_line(context: Mapping[str, object]) -> dict[str, object]:
    """Return the facts for the template; a signed note goes line by line, as templates know no line breaks."""
    told = context.get("checkpoint")
    if not isinstance(told, dict):
        return dict(context)
    return {**context, "checkpoint": {**told, "lines": str(told["note"]).splitlines()}}


def _attachments(entry: OutboxEntry) -> tuple[Attachment, ...]:
    """Return the signed note as a file, to be kept byte for byte."""
    told: JsonMap | None = entry.context.get("checkpoint")
    return (Attachment(f"checkpoint-{told['size']}.txt", told["note"]),) if told else ()
