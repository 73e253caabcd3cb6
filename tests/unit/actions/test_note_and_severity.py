"""The actions note.add and severity.set."""

import pytest

from flows.actions.contract import ActionFailed, CaseFacts
from flows.actions.note import MAX_NOTE, add
from flows.actions.severity import set_severity
from flows.actions.testing import MemoryContext, call


async def test_a_note_is_handed_over_as_it_is():
    result = await call(add, MemoryContext(), body="**bold**\nü")
    assert (result.notes, result.fields) == (["**bold**\nü"], {"length": 10})


@pytest.mark.parametrize(
    ("body", "reason"), [(None, "empty"), ("  ", "'body'"), (7, "int"), ("x" * (MAX_NOTE + 1), "50001")]
)
async def test_what_is_no_note_is_refused(body, reason):
    with pytest.raises(ActionFailed, match=reason) as refused:
        await call(add, MemoryContext(), body=body)
    assert refused.value.next_step


async def test_the_severity_is_set():
    context = MemoryContext(case=CaseFacts("c", 1, "x", "low", "sop"))
    result = await call(set_severity, context, severity="critical")
    assert (result.severity, result.fields) == ("critical", {"before": "low", "after": "critical"})


@pytest.mark.parametrize("severity", ["urgent", "", None, 7, "High"])
async def test_a_severity_that_does_not_exist_is_refused(severity):
    with pytest.raises(ActionFailed, match="no severity") as refused:
        await call(set_severity, MemoryContext(), severity=severity)
    assert "informational, low, medium, high, critical" in refused.value.next_step
