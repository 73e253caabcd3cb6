"""The words of a message: templates filled with facts, in the recipient's language.

Facts are plain values (text, numbers, lists and maps of those), never live objects: the sandbox would let a template
call their methods. What came from an alert is hostile; here it is only ever a value: one clean line, escaped in HTML,
no link. `notifiers/catalogue.py` lists the messages and their facts.

Our own templates are filled in here: they come with the program, name a bounded number of short facts, and loop over
nothing but lists that we bound ourselves. Templates of an installation are checked first and filled in by a process
with limits (`notifiers/limited.py`). One that fails does not silence the message: then ours speaks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from notifiers.catalogue import FACTS, Source, sources
from notifiers.errors import RenderRefused
from notifiers.limited import fill_apart
from notifiers.sandbox import HTML, SMS, SUBJECT, TEXT, as_html, fill, plain, problems

log = logging.getLogger(__name__)

TEMPLATES: Final = frozenset(FACTS)
CODE: Final = "code"
REPLY: Final = "reply"
HIDDEN: Final = "hidden"
"""The message about a case of which messages may say nothing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in words: `subject` and `sms` are one line each, `html` is escaped and complete."""

    subject: str
    text: str
    html: str
    sms: str


def render(
    template: str, context: Mapping[str, object], language: str | None = None, own: Path | None = None
) -> Rendered:
    """Write the message that `template` makes of the facts in `context`.

    Args:
        template: Which message.
        context: The facts.
        language: Of the recipient; English where there is no such template.
        own: Folder of the installation's templates. What is wrong with those is logged, and ours are used.

    Raises:
        RenderRefused: There is no such template, a fact it asks for is missing, or a fact makes no sense.
    """
    if own is not None:
        try:
            return strictly(template, context, language, own)
        except RenderRefused as error:
            if not any(one.own for one in _sources_or_none(template, language, own)):
                raise
            log.warning("A template of this installation is left out: %s", error.diagnostics())
    return strictly(template, context, language, None)


def strictly(template: str, context: Mapping[str, object], language: str | None, own: Path | None) -> Rendered:
    """Do the same, and refuse a template of the installation that is not as it has to be.

    Raises:
        RenderRefused: As `render`, and for what is wrong with an own template.
    """
    parts = sources(template, language, own)
    copied = {name: plain(name, value) for name, value in context.items()}
    facts = {name: value for name, value in copied.items() if name in FACTS[template]}
    facts.setdefault("for_another", False)
    facts.setdefault("can_reply", False)
    mine = {part: one for part, one in parts.items() if one.own}
    for part, one in mine.items():
        if wrong := list(problems(one.name, one.text, part, FACTS[template])):
            raise RenderRefused("; ".join(wrong), next_step="Correct the file: docs/howto/messages.md.")
    filled = {part: fill(one.name, one.text, part, facts) for part, one in parts.items() if not one.own}
    if mine:
        filled |= fill_apart({part: (one.name, one.text) for part, one in mine.items()}, facts)
    html = filled[HTML] if HTML in filled else as_html(filled[TEXT], facts.get("link"))
    return Rendered(subject=filled[SUBJECT], text=filled[TEXT], html=html, sms=filled[SMS])


def _sources_or_none(template: str, language: str | None, own: Path) -> list[Source]:
    try:
        return list(sources(template, language, own).values())
    except RenderRefused:
        return [Source(str(own), "", own=True)] if template in FACTS else []
