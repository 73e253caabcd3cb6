"""The SOPs of this installation, as commands use them."""

from console.call import Call
from sop.errors import Problem
from sop.library import Library, directories


def library(call: Call) -> Library:
    """Return the SOPs that can be used; what is left out is said on stderr."""
    found = Library.survey(directories(call.settings.sops), call.settings.actions)
    if found.problems:
        files = len({problem.source for problem in found.problems})
        call.printer.warn(
            f"left out: {files} SOP file{'s' if files > 1 else ''} with mistakes; see: casewright sop check"
        )
    return found


def said(problem: Problem) -> str:
    """Say a problem the way compilers do, with the next step under it."""
    return f"{problem.source}:{problem.line}: {problem.message}\n  next: {problem.next_step}"
