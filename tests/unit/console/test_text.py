"""Words from outside reach the terminal as words."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from console.text import moment, plain, visible, words


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("invoice\u202egpj.exe", "invoice\\u202egpj.exe"),
        ("pay\u200bpal", "pay\\u200bpal"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("Zürich 東京 🦊", "Zürich 東京 🦊"),
    ],
)
def test_characters_that_act_are_written_out(hostile, shown):
    assert visible(hostile) == shown


def test_line_breaks_stay_only_where_they_are_wanted():
    assert visible("one\ntwo") == "one\\ntwo"
    assert visible("one\ntwo\x1b", lines=True) == "one\ntwo\\x1b"


def test_rich_markup_in_a_title_is_shown_as_it_is():
    screen = io.StringIO()
    Console(file=screen, force_terminal=True, width=80).print(plain("[red]alert[/] [link=https://x.test]y[/link] \\"))
    assert "[red]alert[/] [link=https://x.test]y[/link] \\" in screen.getvalue()
    assert "\x1b]8" not in screen.getvalue()


def test_values_read_as_a_person_says_them():
    assert words(None) == ""
    assert words(True) == "yes"
    assert words(["a", 1]) == "a, 1"
    assert words(datetime(2026, 3, 1, 8, 5, 9, tzinfo=UTC)) == "2026-03-01 08:05Z"
    assert moment(datetime(2026, 3, 1, 8, 5, 9, tzinfo=UTC)) == "2026-03-01 08:05:09Z"
