"""What a reply by mail says. Its first line counts; whatever decides in the Prefect UI is a note here, and no more."""

from __future__ import annotations

import re
from typing import Final

from case_store.clean import clean_text
from case_store.replies.words import Said

LONGEST: Final = 10_000
"""Characters of a reply that become a note; the whole is in the mail itself."""

_CUT: Final = "\n[...] cut here; the whole is in the mail"
_FIRST_LINE: Final = 300
_BEGINNING: Final = r"^[\s\W]*(?:{})(?!\w)"


def _begins(*phrases: str) -> re.Pattern[str]:
    return re.compile(_BEGINNING.format("|".join(phrases)), re.IGNORECASE)


_ACKNOWLEDGES: Final = _begins(
    r"ack(?:nowledged?)?",
    r"ok(?:ay)?",
    r"(?:i['’]?m )?on it",
    r"i(?:['’]ll| will)? take (?:it|this|care)",
    r"taking (?:it|this|care)",
    r"(?:ich )?(?:ü|ue)bernehm(?:e|en)",
    r"wird (?:ü|ue)bernommen",
    r"(?:ich )?(?:bin|wir sind) dran",
    r"(?:ich )?k(?:ü|ue)mmere mich",
    r"(?:je )?prends? en charge",
    r"pris en charge",
    r"je (?:m['’]en (?:occupe|charge)|le prends|la prends)",
)
_DECIDES: Final = _begins(
    r"approv(?:e|ed|al)",
    r"reject(?:ed)?",
    r"den(?:y|ied)",
    r"declined?",
    r"yes",
    r"no",
    r"done",
    r"skip(?:ped)?",
    r"sign(?:ed)?",
    r"(?:ich )?(?:genehmig|bewillig|stimme)\w*",
    r"(?:ich )?(?:freigegeben|freigabe|gebe frei)",
    r"(?:ich )?(?:lehne|abgelehnt|ablehn)\w*",
    r"ja",
    r"nein",
    r"erledigt",
    r"(?:j['’])?approuv\w*",
    r"(?:je )?(?:refus|rejet)\w*",
    r"oui",
    r"non",
    r"fait",
)
_TAKES_BACK: Final = re.compile(
    r"\?|n['’]t\b|\b(?:not|no|never|cannot|but|unless|except|until|approv\w*|reject\w*"
    r"|nicht|nie|kein\w*|nein|aber|au(?:ß|ss)er|erst|genehmig\w*|freigabe|freigegeben"
    r"|pas|jamais|mais|sauf|approuv\w*|refus\w*)\b",
    re.IGNORECASE,
)
"""What makes a first line more than a yes: `ok, but who does it?` is a note."""


def read_reply(text: str) -> Said:
    """Return what a reply says, once what it answers to is off it.

    `acknowledge`: its first line begins with a word for that, and nothing in this line takes it back. `decide`: it
    begins like a decision, which no mail makes. `comment`: anything else. `other`: there is nothing.
    """
    words = clean_text(text).strip()
    kept = words if len(words) <= LONGEST else words[:LONGEST].rstrip() + _CUT
    if not words:
        return Said("other", "")
    first = words.splitlines()[0][:_FIRST_LINE]
    if _ACKNOWLEDGES.match(first) and not _TAKES_BACK.search(first):
        return Said("acknowledge", kept)
    return Said("decide" if _DECIDES.match(first) else "comment", kept)
