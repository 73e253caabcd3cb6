import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.cleaning import defanged, lines, one_line

ANY_TEXT = st.text(st.characters(codec=None, categories=None))  # lone surrogates too
BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


@given(ANY_TEXT, st.integers(3, 50))
def test_one_line_is_one_printable_line_within_the_limit(text: str, limit: int):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.splitlines() in ([], [line])
    assert line == line.strip()
    assert "  " not in line
    assert not any(unicodedata.category(mark) in {"Cc", "Cs"} for mark in line)
    line.encode("utf-8")


@given(ANY_TEXT)
def test_one_line_of_one_line_is_itself(text: str):
    assert one_line(one_line(text)) == one_line(text)


@given(ANY_TEXT)
def test_lines_hold_plain_newlines_only_and_end_in_one(text: str):
    cleaned = lines(text)
    assert not set(cleaned) & set(BREAKS.replace("\n", ""))
    assert cleaned.endswith("\n")
    assert not cleaned.endswith("\n\n")
    assert lines(cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  two   words\t here ", "two words here"),
        ("a\r\nb\nc\rd\u2028e\u0085f", "a b c d e f"),
        ("nul\0, bell\a, delete\x7f", "nul, bell, delete"),
        ("gpj.\u202eexe\u202c", "gpj.exe"),
        ("family 👨‍👩‍👧 stays", "family 👨‍👩‍👧 stays"),
        ("lone \udfff half", "lone ? half"),
        ("", ""),
    ],
)
def test_one_line(text: str, line: str):
    assert one_line(text) == line


def test_cut_is_shown_and_counts():
    assert one_line("x" * 10, 10) == "x" * 10
    assert one_line("x" * 11, 10) == "x" * 7 + "..."
    assert one_line("word word word", 8) == "word..."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://evil.example/a.b", "see hxxp://evil[.]example/a[.]b"),
        ("HTTPS://EVIL.example", "hxxpS://EVIL[.]example"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("mail x@evil.example", "mail x[@]evil[.]example"),
        ("10.0.0.1 said so. Then left.", "10[.]0[.]0[.]1 said so. Then left."),
    ],
)
def test_nothing_is_left_for_a_mail_program_to_make_a_link_of(text: str, shown: str):
    assert defanged(text) == shown
