"""Answers are tables for people and one JSON document for programs."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from console.output import Column, Printer, as_json_text


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Row:
    id: uuid.UUID
    at: datetime
    colour: Colour
    title: str
    sla: timedelta


ROW = Row(uuid.UUID(int=7), datetime(2026, 3, 1, tzinfo=UTC), Colour.RED, "a\x1b[31m[bold]", timedelta(minutes=30))
COLUMNS = [Column[Row]("Title", lambda row: row.title), Column[Row]("At", lambda row: row.at)]


def test_a_row_becomes_plain_json_types():
    assert json.loads(as_json_text({"rows": [ROW]})) == {
        "rows": [
            {
                "id": "00000000-0000-0000-0000-000000000007",
                "at": "2026-03-01T00:00:00+00:00",
                "colour": "red",
                "title": "a\x1b[31m[bold]",
                "sla": 1800.0,
            }
        ]
    }


def test_sets_come_out_in_one_order():
    assert json.loads(as_json_text({"b", "a", "c"})) == ["a", "b", "c"]


def test_json_listing_is_one_document_without_raw_control_characters(capsys):
    Printer().listing("rows", [ROW], COLUMNS, as_json=True, empty="nothing")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert json.loads(printed)["rows"][0]["title"] == ROW.title


def test_an_empty_json_listing_is_still_a_document(capsys):
    Printer().listing("rows", [], COLUMNS, as_json=True, empty="nothing")
    assert json.loads(capsys.readouterr().out) == {"rows": []}


def test_table_shows_hostile_text_harmless(capsys):
    Printer().listing("rows", [ROW], COLUMNS, as_json=False, empty="nothing")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "a\\x1b[31m[bold]" in printed


def test_an_empty_table_is_a_sentence(capsys):
    Printer().listing("rows", [], COLUMNS, as_json=False, empty="no rows yet")
    assert capsys.readouterr().out == "no rows yet\n"


def test_facts_leave_out_what_is_not_set(capsys):
    Printer().facts({"Title": "[b]x[/b]", "Owner": None})
    printed = capsys.readouterr().out
    assert "[b]x[/b]" in printed
    assert "Owner" not in printed
