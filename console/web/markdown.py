"""Instructions of an SOP as HTML: paragraphs, lists, emphasis and code. HTML in them is text; nothing is loaded."""

from __future__ import annotations

from functools import lru_cache

from markdown_it import MarkdownIt


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).disable(["image", "html_inline", "html_block"])


def as_html(text: str) -> str:
    """Return what a text in Markdown says, as HTML in which all that is not Markdown's own is escaped."""
    return str(_markdown().render(text.strip()))
