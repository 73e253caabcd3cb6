"""The process that takes off a mail what it quotes, and limits itself: expressions that others wrote meet hostile text.

Run as a script, alone: it reads {"text", "html"} from standard input and writes {"text", "more"}. One that takes longer
or more than it may is killed, and whoever waits for it does without (`wording.py`).
"""

from __future__ import annotations

import json
import re
import resource
import sys
from html.parser import HTMLParser
from typing import Final

from mailparser_reply import EmailReplyParser

CPU: Final = 2
MEMORY: Final = 256 * 1024 * 1024
LANGUAGES: Final = ["en", "de", "fr", "es", "it", "nl", "pl"]

_LONGEST: Final = 20_000
_LONGEST_LINE: Final = 1_000
_FIRST_LINE: Final = 300
_SIGNATURE: Final = re.compile(r"^--[ \t]*$", re.MULTILINE)
_LIST: Final = re.compile(r"\s*-\s?\w")
_BLANKS: Final = re.compile(r"\n{3,}")
_UNSEEN: Final = frozenset({"head", "script", "style", "title", "template"})
_BLOCKS: Final = frozenset({"p", "div", "br", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "hr", "pre"})
_QUOTE_CLASSES: Final = ("gmail_quote", "gmail_attr", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote")
_REST_IS_QUOTED: Final = frozenset(
    {"appendonsend", "divrplyfwdmsg", "x_divrplyfwdmsg", "mail-editor-reference-message-container"}
)


class Page(HTMLParser):
    """Reads a page as people see it; what is quoted begins with `>`, as in plain text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._within: dict[str, int] = {}
        self._ended = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a quote, or what is not shown."""
        told = {name: (value or "").lower() for name, value in attrs}
        self._ended = self._ended or told.get("id", "") in _REST_IS_QUOTED
        if self._within:
            self._within = {name: deep + (name == tag) for name, deep in self._within.items()}
        elif tag in _UNSEEN or tag == "blockquote" or any(one in told.get("class", "") for one in _QUOTE_CLASSES):
            self._within = {tag: 1}
        if tag in _BLOCKS:
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        """End a line, a quote, or what is not shown."""
        if tag in self._within:
            self._within[tag] -= 1
            if self._within[tag] <= 0:
                self._within = {}
        if tag in _BLOCKS:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        """Take what is shown."""
        if self._ended or self._within.keys() & _UNSEEN:
            return
        words = re.sub(r"\s+", " ", data)
        if self._within and words.strip():
            self.lines += [f"> {words.strip()}", ""]
        elif not self._within:
            self.lines[-1] += words


def text_of(html: str) -> str:
    """Return the text of a page."""
    page = Page()
    page.feed(html)
    page.close()
    return "\n".join(line.strip() for line in page.lines)


def without_quotes(text: str) -> tuple[str, bool]:
    """Return what somebody wrote themselves, and whether it is more than one line, a greeting and a name."""
    lines = (line[:_LONGEST_LINE].rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    tidy = _BLANKS.sub("\n\n", "\n".join(lines)).strip()[:_LONGEST]
    reply = EmailReplyParser(languages=LANGUAGES).read(tidy).replies[0]
    own = _own_lines(_SIGNATURE.split(reply.full_body)[0])
    short = own
    if reply.signatures and not _LIST.match(reply.signatures):
        short = _own_lines(_SIGNATURE.split(reply.body)[0])
    first, _, rest = short.partition("\n")
    return own, bool(rest.strip()) or len(first) > _FIRST_LINE


def _own_lines(text: str) -> str:
    own = (line for line in text.split("\n") if not line.lstrip().startswith(">"))
    return _BLANKS.sub("\n\n", "\n".join(own)).strip()


def main() -> None:
    """Answer one request."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    request = json.loads(sys.stdin.buffer.read())
    text, more = without_quotes(request["text"] if request["html"] is None else text_of(request["html"]))
    sys.stdout.write(json.dumps({"text": text, "more": more}))


if __name__ == "__main__":
    main()
