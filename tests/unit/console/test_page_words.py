"""The words of the pages: as many in German as in English, naming the same facts, and hostile Markdown is text."""

import re

import pytest

from case_store import refusals
from case_store.models import Case
from console.web import markdown
from console.web.words import LANGUAGES, words_for, words_for_browser

PLACE = re.compile(r"\{(\w+)")


def test_each_language_has_all_words_and_names_the_same_facts():
    english = LANGUAGES["en"]
    for words in LANGUAGES.values():
        assert words.keys() == english.keys()
        assert {key: set(PLACE.findall(said)) for key, said in words.items()} == {
            key: set(PLACE.findall(said)) for key, said in english.items()
        }
        assert all(said == said.strip() and said for said in words.values())


def test_each_end_of_a_link_says_what_next():
    for why in refusals._LINKS:
        for part in ("head", "words", "step"):
            assert words_for("de").knows(f"{why}.{part}")


def test_each_severity_has_a_word():
    severities = [one.removeprefix("severity.") for one in LANGUAGES["en"] if one.startswith("severity.")]
    assert severities == ["informational", "low", "medium", "high", "critical"]
    assert Case.severity is not None


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("fr, de-AT;q=0.3", "de"),
        ("en;q=0.2,de;q=0.9", "de"),
        ("de;q=x", "en"),
        ("\x00," * 9999, "en"),
    ],
)
def test_a_browser_is_answered_in_the_language_it_likes_best(accepted: str, language: str):
    assert words_for_browser(accepted).language == language


def test_a_language_that_we_lack_is_english():
    assert [words_for(one).language for one in ("de", "DE-ch", "fr", None)] == ["de", "de", "en", "en"]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>x</script>",
        "a <b onclick=x>b</b>",
        "[x](javascript:x)",
        "![x](https://elsewhere.example/x.png)",
        "<https://x.example/\"onclick='x'>",
        "[x](data:text/html,<script>x</script>)",
        "> " * 5000,
        "[" * 5000,
    ],
)
def test_markup_in_instructions_is_text(hostile: str):
    html = markdown.as_html(hostile)
    assert not re.search(r"<(script|b|img)\b|href=\"(javascript|data)|<[^>]*\son\w+=", html)


def test_instructions_have_lists_and_emphasis():
    html = markdown.as_html("1. **Stop** and *look*\n2. `block`\n")
    assert "<li><strong>Stop</strong> and <em>look</em></li>" in html
    assert "<code>block</code>" in html
