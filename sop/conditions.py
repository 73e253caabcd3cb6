"""Conditions and parameters of an SOP, in CEL (Common Expression Language).

CEL has no loops without end, no side effects and no access to anything but the values it is given:
the *scope*, a mapping with `case`, `alert`, `tasks` and `observables`. Two things are ours:
`observables.first("ip")` and `observables.all("ip")`, and `has(x)` is false for an `x` that is
there but empty, because people leave fields empty and mean that there is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeAlias

from sop.cel_errors import failure, syntax
from sop.cel_functions import FUNCTIONS
from sop.cel_text import CelText
from sop.durations import format_duration
from sop.errors import ConditionFailed, ConditionRefused
from sop.vocabulary import ROOTS
from sop.wording import shown

if TYPE_CHECKING:
    from cel import Program

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Scope: TypeAlias = Mapping[str, object]

MAX_LENGTH = 1_000
MAX_NESTING = 2
MAX_ROUNDS = 250_000
"""How often the innermost part of nested loops may run: about a second."""


@dataclass(frozen=True)
class Condition:
    """A CEL expression that compiles and is small enough to be evaluated.

    Raises:
        ConditionRefused: it is not.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_LENGTH:
            step = "Split it: let a task's form ask for part of it."
            raise ConditionRefused(f"The condition is longer than {MAX_LENGTH} characters.", next_step=step)
        if self.cel.nesting > MAX_NESTING:
            step = "Use `in`: alert.fields.groups.exists(g, g in ['ssh', 'web'])."
            raise ConditionRefused(f"{shown(self.text)!r} has loops within loops within loops.", next_step=step)
        _compile(self.text)

    @cached_property
    def cel(self) -> CelText:
        """Return what the expression says."""
        return CelText(self.text)

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the values it names: `tasks.confirm.verdict`, `alert.title`, `observables`."""
        return frozenset(str(reference) for reference in self.cel.references)

    @cached_property
    def functions(self) -> frozenset[str]:
        """Return the functions and methods it calls, without CEL's operators."""
        return frozenset(name for name in _compile(self.text).functions() if name.isidentifier())

    def value(self, scope: Scope) -> Json:
        """Return its value as JSON; times become ISO 8601 text, durations such as `1h30m`.

        Raises:
            ConditionFailed: a value is missing, or values do not fit together.
        """
        try:
            return _json(self._execute(scope))
        except _NotJson as error:
            raise self._failed(f"its value is {error}", "Let it yield text, a number, true, false or a list.") from None

    def evaluate(self, scope: Scope) -> bool:
        """Say whether it is true.

        Raises:
            ConditionFailed: a value is missing, values do not fit together, or the answer is
                neither true nor false.
        """
        answer = self._execute(scope)
        if isinstance(answer, bool):
            return answer
        if answer is None:
            raise self._failed("its value is empty, neither true nor false", "Compare it: … == true.")
        raise self._failed(
            f"its value is {shown(answer)!r}, neither true nor false", "Compare it with something: … == 'x'."
        )

    def _execute(self, scope: Scope) -> object:
        from cel import Context  # noqa: PLC0415 - loads a library that few commands need

        self._refuse_rounds(scope)
        variables = {root: scope.get(root) or {} for root in ROOTS}
        try:
            context = Context(variables=variables, functions=dict(FUNCTIONS))
            answer: object = _compile(self.cel.with_empty_as_missing()).execute(context)
        except Exception as error:  # the library raises built-in exceptions of many kinds
            reason, step = failure(error, tuple(sorted(self.names)))
            raise self._failed(reason, step) from error
        return answer

    def _refuse_rounds(self, scope: Scope) -> None:
        if self.cel.nesting > 1 and _longest(scope) ** self.cel.nesting > MAX_ROUNDS:
            raise self._failed("it would compare too many values with each other", "Use `in` instead of a second loop.")

    def _failed(self, reason: str, next_step: str) -> ConditionFailed:
        return ConditionFailed(f"{shown(self.text)!r} has no answer: {reason}.", next_step=next_step)


def evaluate(text: str, scope: Scope) -> bool:
    """Say whether a condition is true; see `Condition.evaluate`."""
    return _condition(text).evaluate(scope)


def value(text: str, scope: Scope) -> Json:
    """Return the value of an expression; see `Condition.value`."""
    return _condition(text).value(scope)


def names(text: str) -> frozenset[str]:
    """Return the values that an expression names; see `Condition.names`."""
    return _condition(text).names


def roots(*given: object) -> frozenset[str]:
    """Return which values of the scope conditions and parameters may name: rather one too many than one too few."""
    words = str(given)
    return frozenset(root for root in ROOTS if root in words)


def parameters(with_: Mapping[str, object], scope: Scope) -> dict[str, Json]:
    """Return an action's parameters: every text in `with:` is an expression, the rest is itself.

    Raises:
        ConditionFailed: an expression has no value; the message begins with the parameter's name.
    """
    found: dict[str, Json] = {}
    for name, given in with_.items():
        try:
            found[name] = _parameter(given, scope)
        except ConditionFailed as error:
            raise ConditionFailed(f"with.{name}: {error}", next_step=error.next_step) from error
    return found


def _parameter(given: object, scope: Scope) -> Json:
    if isinstance(given, str):
        return value(given, scope)
    if isinstance(given, Mapping):
        return {str(key): _parameter(one, scope) for key, one in given.items()}
    if isinstance(given, list | tuple):
        return [_parameter(one, scope) for one in given]
    return _json(given)


class _NotJson(ValueError):
    """The value has no counterpart in JSON."""


def _json(given: object) -> Json:
    if given is None or isinstance(given, bool | int | str):
        return given
    if isinstance(given, float):
        if not math.isfinite(given):
            raise _NotJson("not a finite number")
        return given
    if isinstance(given, datetime | date):
        return given.isoformat()
    if isinstance(given, timedelta):
        return format_duration(given)
    if isinstance(given, list | tuple):
        return [_json(one) for one in given]
    if isinstance(given, dict):
        return {_name(key): _json(one) for key, one in given.items()}
    raise _NotJson(f"of the kind {type(given).__name__}, which cannot be stored")


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise _NotJson("a map whose keys are not text")
    return key


def _longest(scope: object) -> int:
    """Return the number of entries of the longest list, mapping or text-free part of the scope."""
    if isinstance(scope, Mapping):
        return max(len(scope), *(_longest(one) for one in scope.values()), 0)
    if isinstance(scope, list | tuple):
        return max(len(scope), *(_longest(one) for one in scope), 0)
    return 0


@lru_cache(maxsize=512)
def _condition(text: str) -> Condition:
    return Condition(text)


@lru_cache(maxsize=512)
def _compile(text: str) -> Program:
    from cel import compile as compile_cel  # noqa: PLC0415 - loads a library that few commands need

    try:
        return compile_cel(text)
    except Exception as error:  # noqa: BLE001 - the library raises built-in exceptions of many kinds
        message, next_step = syntax(text, error)
        raise ConditionRefused(message, next_step=next_step) from None
