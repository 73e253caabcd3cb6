"""What can go wrong with an SOP, each with what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sop.loader import LoadedSop


_SAID = 100
"""More problems than this help nobody at once."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing an author has to change, and where.

    `line` counts from 1; `next_step` is a sentence that tells the author what to do.
    """

    source: str
    line: int
    message: str
    next_step: str

    def __str__(self) -> str:
        """Say it the way compilers do, so that editors can jump to the place."""
        return f"{self.source}:{self.line}: {self.message} {self.next_step}"


class SopError(Exception):
    """Something about an SOP, its conditions or its actions is not right."""

    next_step: str = "Run `casewright sop check FILE` to see every problem of the file."

    def __init__(self, message: str = "", *, next_step: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        if next_step is not None:
            self.next_step = next_step

    def diagnostics(self) -> str:
        """Say what happened and what to do next."""
        return f"{self}\n  next: {self.next_step}"


class SopRefused(SopError):
    """The SOP file is not one that a case may run.

    `readable` is what the rest of the file says (a `sop.loader.LoadedSop`), for more checks at once.
    """

    next_step = "Correct the lines named above, then run `casewright sop check` again."

    def __init__(self, problems: Iterable[Problem], readable: LoadedSop | None = None) -> None:
        self.problems: list[Problem] = sorted(problems)
        self.readable = readable
        said = [str(problem) for problem in self.problems[:_SAID]]
        if len(self.problems) > _SAID:
            said.append(f"… and {len(self.problems) - _SAID} more.")
        super().__init__("\n".join(said))


class ConditionRefused(SopError):
    """The condition is not a CEL expression that may be evaluated."""

    next_step = "Correct the expression: it may name case, alert, tasks and observables."


class ConditionFailed(SopError):
    """The condition could not be answered with the values at hand."""

    next_step = "Test for the value first, for instance `has(tasks.confirm.verdict) && …`."


class ActionRefused(SopError):
    """The action is not declared the way actions must be."""

    next_step = "Declare it like this: @action(name='mail.block', idempotent=True)."


class UnknownSop(SopError):
    """There is no SOP of that key in the library."""
