"""Makes defanged text whole again: `hxxps[:]//evil[.]com` becomes `https://evil.com`. Pure.

Reports write observables so that nobody clicks on them by mistake. Each expression here looks at a bounded stretch of
text from where it starts, so that no text makes it slow.
"""

from __future__ import annotations

import re
from typing import Final

# Characters without width, put between letters to hide a name from a search.
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_SCHEME: Final = re.compile(
    r"\[?\b(?:h[tx*_]{2}p|(?P<ftp>f[tx]p))(?P<s>s?)\]?(?:\[:\]//|\(:\)//|\[://\]|\(://\)|:\[//\]|\[:/\]/?|:\\\\|://)",
    re.IGNORECASE,
)
# A text without any of these has no scheme to mend; looking for them is ten times as fast as the expression.
_SCHEME_MARKS: Final = (
    *("hxx", "hxt", "htx", "h**", "h__", "fxp"),
    *("[:", "(:", ":[", ":\\\\", "[http", "[ftp"),
)
_DOT: Final = re.compile(r"[\[({](?:\.|dot)[\])}]|(?<=\w)\[\.(?=\w)|(?<=\w)\.\](?=\w)|(?<=\w)\\\.(?=\w)", re.IGNORECASE)
_AT: Final = re.compile(r"[\[({]@[\])}]| ?[\[({]at[\])}] ?", re.IGNORECASE)
_SLASH: Final = re.compile(r"\[/\]")
# In CEF, a backslash stands before what would end a field.
_CEF_ESCAPE: Final = re.compile(r"\\(?=[=|])")


def refanged(text: str) -> str:
    """Return the text with defanged observables as they were."""
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    small = text.lower()
    if any(mark in small for mark in _SCHEME_MARKS):
        text = _SCHEME.sub(_scheme, text)
    if "\\" in text or any(bracket in text for bracket in "[]({"):
        for expression, whole in ((_DOT, "."), (_AT, "@"), (_SLASH, "/"), (_CEF_ESCAPE, "")):
            text = expression.sub(whole, text)
    return text


def _scheme(found: re.Match[str]) -> str:
    return f"{'ftp' if found['ftp'] else 'http'}{found['s'].lower()}://"
