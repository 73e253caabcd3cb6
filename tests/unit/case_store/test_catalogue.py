"""The catalogue of audit events: as complete as the code, the code as complete as it, and the page about both."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from case_store import privacy
from case_store.audit import catalogue
from case_store.audit.catalogue import AREAS
from case_store.audit.catalogue.content import ERASED
from case_store.audit.catalogue.kinds import TEXT, UPDATE, Fact, kind
from case_store.audit.catalogue.reference import page
from case_store.audit.commitments import Personal
from case_store.audit.private import personal_columns
from case_store.errors import NotCatalogued
from case_store.models import Base, Case, Person

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "audit-events.md"
CATALOGUED = {kind.type: kind for kinds in AREAS.values() for kind in kinds}
FAMILIES = {one.partition(".")[0] for one in CATALOGUED}
TYPE = re.compile(r"[a-z_]+\.[a-z_]+")
READERS = ("case_store/audit/catalogue", "case_store/audit/formats", "case_store/views", "case_store/audit/verifier.py")
"""What only reads events."""


@cache
def product():
    """Every product file that does not only read events, parsed."""
    paths = [path for folder in ("case_store", "flows", "console") for path in sorted((ROOT / folder).rglob("*.py"))]
    named = {path.relative_to(ROOT).as_posix(): path for path in paths}
    return {name: ast.parse(path.read_bytes()) for name, path in named.items() if not name.startswith(READERS)}


def calls_of_record(tree):
    """Calls of `tx.record` and of what hands on to it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"record", "_record"}:
                yield node


def types_in(tree, families):
    """Every type of these families that a file which records writes out; docstrings say sentences, not types."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if TYPE.fullmatch(text) and text.partition(".")[0] in families}


def literal_types(tree):
    """The types that stand in the calls themselves, of whatever family."""
    args = [arg for call in calls_of_record(tree) for arg in call.args[:2]]
    return {arg.value for arg in args if isinstance(arg, ast.Constant) and TYPE.fullmatch(str(arg.value))}


def recorded():
    """Each type that the code records, and where."""
    recording = {name: tree for name, tree in product().items() if any(calls_of_record(tree))}
    families = FAMILIES | {one.partition(".")[0] for tree in recording.values() for one in literal_types(tree)}
    return {one: name for name, tree in recording.items() for one in types_in(tree, families)}


def test_every_type_that_the_code_records_is_in_the_catalogue():
    assert {one: where for one, where in recorded().items() if one not in CATALOGUED} == {}


def test_every_type_in_the_catalogue_is_recorded_by_some_code():
    assert CATALOGUED.keys() - recorded().keys() == set()


def test_every_fact_in_the_catalogue_is_told_by_some_code():
    names = set()
    for tree in product().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                names.add(node.value)
            elif isinstance(node, ast.keyword):
                names.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)  # facts that are made of a dataclass
    facts = {(kind.type, name) for kind in CATALOGUED.values() for name in kind.facts}
    assert {fact for fact in facts if fact[1] not in names} == set()


def test_types_are_written_out_so_that_they_can_be_found():
    put_together = [
        f"{name}:{call.lineno}"
        for name, tree in product().items()
        for call in calls_of_record(tree)
        if any(isinstance(arg, ast.JoinedStr | ast.BinOp) for arg in call.args[:1])
    ]
    assert put_together == []


def test_the_page_is_the_one_that_is_generated():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m case_store.audit.catalogue --write"


@pytest.mark.parametrize("one", CATALOGUED.values(), ids=lambda one: one.type)
def test_a_kind_says_what_it_is_in_sentences(one):
    for sentence in (one.meaning, *(fact.meaning for fact in one.facts.values())):
        assert re.fullmatch(r"[A-Z`].*\.", sentence), sentence
        assert len(sentence) < 120


FINE = {"signed_by": Personal("ada", ("task", "t")), "via": "cli"}


@pytest.mark.parametrize(
    ("event_type", "row", "stream", "facts", "said"),
    [
        ("task.finished", "task", "case/1", {}, "'task.finished' is no kind of event"),
        ("Task Completed", "task", "case/1", {}, "'Task Completed' is no kind of event"),
        ("task.completed", "case", "case/1", FINE, "is about task, not case"),
        ("task.completed", None, "case/1", FINE, "is about task, not no row"),
        ("run.state", "case", "case/1", {}, "is about no row, not case"),
        ("task.completed", "task", "system", FINE, "goes to the stream of case, not system"),
        ("task.completed", "task", "case/1", {**FINE, "colour": "red"}, "has no fact 'colour', but signed_by, via"),
        ("case.closed", "case", "case/1", {"colour": "red"}, "has no fact 'colour', but none"),
        ("task.completed", "task", "case/1", {"signed_by": "ada"}, "'signed_by' is personal, but not marked so"),
        ("task.completed", "task", "case/1", {"via": Personal("cli", ("task", "t"))}, "'via' is not personal"),
        ("task.completed", "task", "case/1", {"signed_by": Personal("ada", ("stage", "s"))}, "which nothing erases"),
    ],
)
def test_an_event_that_is_not_as_the_catalogue_says_is_refused(event_type, row, stream, facts, said):
    with pytest.raises(NotCatalogued, match=re.escape(said)) as refused:
        catalogue.require(event_type, row, stream, facts)
    assert "case_store/audit/catalogue/" in refused.value.next_step


@pytest.mark.parametrize(
    ("event_type", "row", "stream", "facts"),
    [
        ("task.completed", "task", "case/1", FINE),
        ("task.completed", "task", "case/1", {"signed_by": None}),
        ("task.completed", "task", "case/1", {"signed_by": "erased-0123456789ab"}),
        ("task.taken_over", "task", "case/1", {"from": "tier1"}),
        ("task.taken_over", "task", "case/1", {"from": Personal("ada", ("person", "p"))}),
        ("run.state", None, "system", {}),
    ],
)
def test_an_event_that_is_as_it_says_is_taken(event_type, row, stream, facts):
    catalogue.require(event_type, row, stream, facts)


def test_what_is_personal_is_about_what_an_erasure_reaches():
    assert set(ERASED) == {kind.entity_type for kind in (Case, Person, *privacy.CONTENT)}
    of_models = {one.class_.entity_type for one in Base.registry.mappers if personal_columns(one.class_)}
    assert of_models <= set(ERASED)


def test_kinds_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="in the catalogue already"):
        catalogue.add([kind("case.opened", UPDATE, "Again.", about="case")])
    with pytest.raises(ValueError, match="write it like"):
        kind("opened", UPDATE, "Without a thing.")
    with pytest.raises(ValueError, match="a fact twice"):
        kind("case.told", UPDATE, "Twice the same.", *[Fact("n", TEXT, "One.")] * 2)
