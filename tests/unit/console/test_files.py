"""Bars that are seen while something takes long."""

import pytest
from rich.console import Console
from rich.progress import Progress

from console import files


def test_each_kind_has_a_bar_and_what_is_waited_for_goes(monkeypatch: pytest.MonkeyPatch):
    bar = Progress(disable=True)
    monkeypatch.setattr(files, "bar_on", lambda _console: bar)
    with files.counting_kinds(Console(), "waiting for the seal", {"events": 3}) as count:
        assert [(one.description, one.completed) for one in bar.tasks] == [("waiting for the seal", 0)]
        for kind in ("events", "events", "proofs", "events"):
            count(kind)
    told = [(one.description, one.completed, one.total) for one in bar.tasks]
    assert told == [("events", 3, 3), ("proofs", 1, None)]
