"""What somebody wrote in a mail, without what they answered to."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.actions.messages import Message, Part

log = logging.getLogger(__name__)

_APART: Final = Path(__file__).with_name("apart.py")
_WALL: Final = 5.0
_LONGEST: Final = 500_000
_QUOTE_BEGINS: Final = re.compile(r"\s*(?:>|[-_]{8,}|-- ?$)")
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")


@dataclass(frozen=True, slots=True)
class Wording:
    """What somebody wrote; `more` when it is more than one line, a greeting and a name."""

    text: str
    more: bool


def wording(message: Message) -> Wording:
    """Return what somebody wrote in a mail: of its text, or of its HTML where there is no text.

    The library that knows how mail programs quote is slow with some texts, and the texts are anybody's. So a process
    with limits runs it; where that is not enough, everything up to the first line that looks quoted counts.
    """
    shown = [part for part in message.parts if part.is_text]
    plain = _first(shown, "plain")
    html = None if plain.strip() else _first(shown, "html") or None
    if not plain.strip() and html is None:
        return Wording("", more=False)
    request = json.dumps({"text": plain, "html": html}).encode()
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter and script; the mail goes in as data
            [sys.executable, "-I", str(_APART)], input=request, capture_output=True, timeout=_WALL, check=False, env={}
        )
        answer = json.loads(done.stdout)
        return Wording(str(answer["text"]), bool(answer["more"]))
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        log.warning("What a mail quotes could not be told within the limits; its beginning counts")
        return Wording(_beginning(plain if html is None else _TAG.sub("\n", html)), more=True)


def _first(parts: list[Part], subtype: str) -> str:
    # What calls itself a multipart and has no parts is a text.
    wanted = {subtype, "mixed", "alternative"} if subtype == "plain" else {subtype}
    return next((part.text()[:_LONGEST] for part in parts if part.subtype in wanted), "")


def _beginning(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if _QUOTE_BEGINS.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()
