"""The action observables.extract."""

import json

import pytest

from flows.actions.contract import MAX_READ, ActionFailed, EvidenceFacts
from flows.actions.observables import MAX_ADDED, extract
from flows.actions.testing import MemoryContext, call
from sop.actions import spec_of


@pytest.fixture
def context() -> MemoryContext:
    context = MemoryContext()
    context.attach("alert.json", b'{"srcip": "203.0.113.9", "agent": {"ip": "10.0.0.5"}}')
    context.attach("report.txt", b"hxxp://evil-site[.]com/a and 203.0.113.9")
    return context


async def test_all_evidence_of_the_case_is_searched(context):
    result = await call(extract, context)
    assert [*result.observables] == [
        ("ip", "203.0.113.9"),
        ("internal_ip", "10.0.0.5"),
        ("url", "http://evil-site.com/a"),
        ("domain", "evil-site.com"),
    ]
    assert result.fields == {"total": 4, "counts": {"ip": 1, "internal_ip": 1, "domain": 1, "url": 1}, "complete": True}
    assert (result.notes, result.evidence) == ([], [])


@pytest.mark.parametrize("wanted", ["evidence-1", "alert.json", ["evidence-1"], ["alert.json", "evidence-1"]])
async def test_evidence_is_named_by_id_or_name(context, wanted):
    result = await call(extract, context, evidence=wanted)
    assert result.fields["total"] == 2


async def test_a_text_is_searched_instead(context):
    result = await call(extract, context, text="mail from bob@evil-site.com")
    assert [*result.observables] == [("email", "bob@evil-site.com"), ("domain", "evil-site.com")]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"evidence": "missing"}, "no evidence"),
        ({"evidence": []}, "empty list"),
        ({"evidence": [7]}, "int, not text"),
        ({"text": " "}, "'text'"),
        ({"text": "x" * 1_000_001}, "1000001 characters"),
    ],
)
async def test_wrong_parameters_are_refused_with_a_next_step(context, parameters, reason):
    with pytest.raises(ActionFailed, match=reason) as refused:
        await call(extract, context, **parameters)
    assert refused.value.next_step


async def test_a_name_that_two_pieces_bear_is_refused(context):
    context.attach("report.txt", b"other")
    with pytest.raises(ActionFailed, match="2 pieces of evidence"):
        await call(extract, context, evidence="report.txt")


async def test_a_case_without_evidence_has_no_observables():
    result = await call(extract, MemoryContext())
    assert result.fields == {"total": 0, "counts": {}, "complete": True}


async def test_many_observables_are_attached_as_a_file(context):
    names = [f"host{number}.evil-site.com" for number in range(MAX_ADDED + 5)]
    result = await call(extract, context, text="\n".join(names))
    assert len(result.observables) == MAX_ADDED
    assert not result.fields["complete"]
    (attached,) = result.evidence
    lines = [json.loads(line) for line in attached.content.decode().splitlines()]
    assert [line["value"] for line in lines] == names
    assert "1005 observables" in result.notes[0]


async def test_a_file_that_is_too_large_is_left_out_and_said_so(context):
    facts = context.attach("huge.log", b"203.0.113.200")
    huge = EvidenceFacts(facts.id, facts.name, facts.sha256, MAX_READ + 1, facts.media_type)
    context._kept[facts.id] = (huge, b"203.0.113.200")
    result = await call(extract, context)
    assert ("ip", "203.0.113.200") not in result.observables
    assert not result.fields["complete"]
    assert facts.id in result.notes[0]


async def test_a_part_of_the_evidence_is_said_to_be_one(context, monkeypatch):
    monkeypatch.setattr("flows.actions.extraction.searching.search.__kwdefaults__", {"seconds": -1.0, "most": 1})
    result = await call(extract, context)
    assert not result.fields["complete"]
    assert "only in part" in result.notes[0]


def test_it_may_run_twice():
    assert spec_of(extract).idempotent
