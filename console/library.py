"""The SOPs of this installation, as commands use them."""

from collections.abc import Sequence

from console.call import Call
from sop.errors import Problem, SopRefused
from sop.library import Library, directories
from sop.loader import LoadedSop, load, sop_files


def library(call: Call) -> Library:
    """Return the SOPs that can be used; what is left out is said on stderr."""
    found = Library.survey(directories(call.settings.sops), call.settings.actions)
    _say_left_out(call, found.problems)
    return found


def readable(call: Call) -> list[LoadedSop]:
    """Return the SOPs that can be read, by key, without looking into their conditions: that takes ten times as long."""
    sops: dict[str, LoadedSop] = {}
    problems: list[Problem] = []
    built_in, *own = directories(call.settings.sops)
    for file in sop_files([*own, built_in]):  # an SOP of one's own replaces the one that comes along
        try:
            loaded = load(file)
        except SopRefused as refused:
            problems += refused.problems
        else:
            sops.setdefault(loaded.sop.key, loaded)
    _say_left_out(call, problems)
    return [sops[key] for key in sorted(sops)]


def _say_left_out(call: Call, problems: Sequence[Problem]) -> None:
    files = len({problem.source for problem in problems})
    if files:
        call.printer.warn(
            f"left out: {files} SOP file{'s' if files > 1 else ''} with mistakes; see: casewright sop check"
        )


def said(problem: Problem) -> str:
    """Say a problem the way compilers do, with the next step under it."""
    return f"{problem.source}:{problem.line}: {problem.message}\n  next: {problem.next_step}"
