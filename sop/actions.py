"""Actions: what SOPs can have done automatically. Here is only how they are named and found.

An action is a function that an automation engineer marks:

    @action(name="mail.block_sender", idempotent=True)
    async def block_sender(context, address: str): ...

It is found by an entry point of the group `casewright.actions` that bears the action's name, or
because its module is named in the setting `CASEWRIGHT_ACTIONS`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sop.errors import ActionRefused

GROUP = "casewright.actions"
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__casewright_action__"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An action: its name in SOPs, its function, and which code that is.

    `idempotent` says that it may run twice and nothing more happens than once. `code_version`
    names the module and the SHA-256 of its source, so that a result can be traced to its code.
    """

    name: str
    idempotent: bool
    title: str
    function: Callable[..., Any]
    code_version: str

    def parameters(self) -> dict[str, bool] | None:
        """Return the parameters an SOP may pass, each with whether it must; None when any name will do."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
            return None
        return {one.name: one.default is inspect.Parameter.empty for one in parameters}


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    idempotent: bool
    title: str


def action(*, name: str, idempotent: bool, title: str | None = None) -> Callable[[Function], Function]:
    """Mark a function, async or not, as an action; the function itself stays as it is.

    Args:
        name: What SOPs call it, such as `mail.block_sender`.
        idempotent: Whether it may safely run again. If not, an action that was interrupted is
            never repeated by itself: a person is asked.
        title: What people read; without it, the first line of the docstring.

    Raises:
        ActionRefused: the name is not one, or the function does not take the context first.
    """
    if not NAME.fullmatch(name):
        step = "Use small letters, digits and _, with dots between the parts: mail.block_sender."
        raise ActionRefused(f"{name!r} is not the name of an action.", next_step=step)

    def mark(function: Function) -> Function:
        _refuse_signature(name, function)
        lines = (inspect.getdoc(function) or name).splitlines()
        setattr(function, _MARK, _Mark(name, idempotent, title or lines[0].rstrip(".")))
        return function

    return mark


def spec_of(function: Callable[..., Any]) -> ActionSpec:
    """Return what is known of a function that was marked with `@action`.

    Raises:
        ActionRefused: it was not.
    """
    mark = getattr(function, _MARK, None)
    if not isinstance(mark, _Mark):
        step = "Put @action(name=…, idempotent=…) above it."
        raise ActionRefused(f"{_place(function)} is not marked as an action.", next_step=step)
    return ActionSpec(mark.name, mark.idempotent, mark.title, function, _code_version(function))


def discover(modules: Sequence[str] = ()) -> dict[str, ActionSpec]:
    """Import every action there is and return them by name.

    Args:
        modules: Names of modules with actions, besides those of the entry points.

    Raises:
        ActionRefused: an action cannot be imported, is not marked, or two have one name.
    """
    found: dict[str, ActionSpec] = {}
    for entry in _entries():
        _add(found, _loaded(entry))
    for module in modules:
        for spec in _specs(_imported(module)):
            _add(found, spec)
    return found


def names(modules: Sequence[str] = ()) -> set[str]:
    """Return the names of all actions; only the modules are imported, entry points are not.

    Raises:
        ActionRefused: a module cannot be imported.
    """
    in_modules = {spec.name for module in modules for spec in _specs(_imported(module))}
    return in_modules | {entry.name for entry in _entries()}


def _entries() -> Iterable[EntryPoint]:
    return sorted(set(entry_points(group=GROUP)), key=lambda entry: (entry.name, entry.value))


def _loaded(entry: EntryPoint) -> ActionSpec:
    try:
        function = entry.load()
    except Exception as error:
        reason = f"The action {entry.name!r} cannot be imported from {entry.value}: {error}."
        step = "Repair or uninstall the package that brings it."
        raise ActionRefused(reason, next_step=step) from error
    spec = spec_of(function)
    if spec.name != entry.name:
        reason = f"The entry point {entry.name!r} leads to an action that calls itself {spec.name!r}."
        raise ActionRefused(reason, next_step="Give both the same name.")
    return spec


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        step = "Correct CASEWRIGHT_ACTIONS: names of modules, with commas between."
        raise ActionRefused(f"The module {name!r} cannot be imported: {error}.", next_step=step) from error


def _specs(module: ModuleType) -> list[ActionSpec]:
    return [spec_of(one) for one in vars(module).values() if isinstance(getattr(one, _MARK, None), _Mark)]


def _add(found: dict[str, ActionSpec], spec: ActionSpec) -> None:
    other = found.setdefault(spec.name, spec)
    if other.function is not spec.function:
        both = f"{_place(other.function)} and {_place(spec.function)}"
        step = "Rename one of them; a name belongs to one action."
        raise ActionRefused(f"Two actions are called {spec.name!r}: {both}.", next_step=step)


def _refuse_signature(name: str, function: Callable[..., Any]) -> None:
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not kinds or kinds[0] not in by_position:
        step = "Write: async def do(context, address: str)."
        raise ActionRefused(f"The action {name!r} does not take the context as its first parameter.", next_step=step)
    if any(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL) for kind in kinds[1:]):
        step = "Give each parameter a name; SOPs pass them by name."
        raise ActionRefused(f"The action {name!r} has a parameter without a name.", next_step=step)


def _code_version(function: Callable[..., Any]) -> str:
    try:
        source = Path(inspect.getfile(function)).read_bytes()
    except (OSError, TypeError):
        return f"{function.__module__}@unknown"
    return f"{function.__module__}@{sha256(source).hexdigest()[:12]}"


def _place(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', repr(function))}"
