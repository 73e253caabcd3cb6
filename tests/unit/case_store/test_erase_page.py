"""The page about erasures names exactly what is marked as personal in the code."""

import re
from pathlib import Path

from case_store.audit.catalogue import AREAS
from case_store.audit.private import personal_columns
from case_store.models import Base

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "erase.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]*) \| ([^|]*) \| [^|]* \|$", re.MULTILINE)
NOT_AUDITED = "(not audited)"


def rows(heading):
    """Yield the names in the first and in the second cell of each row of a table."""
    table = PAGE[PAGE.index(heading) :].partition("\n\n")[0]
    for first, second in ROW.findall(table):
        if NOT_AUDITED not in first:
            yield re.findall(r"`([a-z0-9_]+)`", first), re.findall(r"`([a-z0-9_]+)`", second.partition(";")[0])


def test_it_names_every_personal_column_and_no_other():
    named = {(table, column) for tables, columns in rows("| table |") for table in tables for column in columns}
    kinds = [mapper.class_ for mapper in Base.registry.mappers]
    assert named == {(kind.__tablename__, column) for kind in kinds for column in personal_columns(kind)}


def test_it_names_every_personal_fact_and_no_other():
    named = {fact for facts, _ in rows("| fact of events |") for fact in facts}
    facts = [fact for kinds in AREAS.values() for kind in kinds for fact in kind.facts.values()]
    assert named == {fact.name for fact in facts if fact.personal != "no"}
