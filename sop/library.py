"""The SOPs of an installation: those that come along, and those in folders of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from sop.actions import ActionSpec, names
from sop.calendars import calendars_in
from sop.checks import check
from sop.errors import Problem, SopRefused, UnknownSop
from sop.loader import LoadedSop, load, same_keys, sop_files
from sop.roles import load_roles
from sop.wording import did_you_mean
from sop.worktime import Calendar

BUILT_IN = Path(__file__).parent / "library"


def directories(setting: str | Iterable[str | Path] | None = None) -> list[Path]:
    """Return the folders of SOPs: the one that comes along, then one's own.

    Args:
        setting: Folders with `os.pathsep` between them, or a list of folders.
    """
    own = setting.split(os.pathsep) if isinstance(setting, str) else setting or ()
    found = [BUILT_IN, *(Path(one).expanduser() for one in own if str(one).strip())]
    return list(dict.fromkeys(found))


def inspect(
    path: Path | str,
    roles: AbstractSet[str],
    actions: AbstractSet[str],
    specs: Mapping[str, ActionSpec] | None = None,
    calendars: AbstractSet[str] = frozenset(),
) -> list[Problem]:
    """Return everything that is wrong with an SOP file, in one go; nothing when it can be used.

    The arguments are those of `sop.checks.check`.
    """
    return _inspect(path, roles, actions, specs, calendars)[1]


@dataclass(frozen=True)
class Library:
    """SOPs by key, the roles and calendars they may name, and what is wrong with the other files."""

    sops: Mapping[str, LoadedSop]
    roles: Mapping[str, str]
    calendars: Mapping[str, Calendar]
    problems: tuple[Problem, ...] = ()

    @classmethod
    def load(cls, paths: Sequence[Path | str] = (BUILT_IN,), action_modules: Sequence[str] = ()) -> Library:
        """Return the library of these folders.

        Raises:
            SopRefused: with everything that is wrong in any of the files.
            ActionRefused: a module with actions cannot be imported.
        """
        library = cls.survey(paths, action_modules)
        if library.problems:
            raise SopRefused(library.problems)
        return library

    @classmethod
    def survey(cls, paths: Sequence[Path | str] = (BUILT_IN,), action_modules: Sequence[str] = ()) -> Library:
        """Return the SOPs that can be used, and say in `problems` what is wrong with the others.

        An SOP in a folder of one's own replaces the one of the same key that comes along.

        Raises:
            ActionRefused: a module with actions cannot be imported.
        """
        roles, problems = _roles(paths)
        hours, wrong_hours = calendars_in(paths)
        problems += wrong_hours
        good: list[LoadedSop] = []
        actions = names(action_modules)
        for file in _files(paths, problems):
            loaded, wrong = _inspect(file, roles.keys(), actions, None, hours.keys())
            problems += wrong
            if loaded is not None and not wrong:
                good.append(loaded)
        own = [one for one in good if Path(one.source).parent != BUILT_IN]
        problems += same_keys(own)
        ours = [one for one in good if Path(one.source).parent == BUILT_IN]
        sops = {one.sop.key: one for one in [*ours, *reversed(own)]}
        return cls(dict(sorted(sops.items())), roles, hours, tuple(sorted(problems)))

    def get(self, key: str) -> LoadedSop:
        """Return the SOP of that key.

        Raises:
            UnknownSop: there is none.
        """
        if key not in self.sops:
            raise UnknownSop(f"There is no SOP {key!r}.", next_step=did_you_mean(key, self.sops, "SOPs"))
        return self.sops[key]


def _inspect(
    path: Path | str,
    roles: AbstractSet[str],
    actions: AbstractSet[str],
    specs: Mapping[str, ActionSpec] | None = None,
    calendars: AbstractSet[str] = frozenset(),
) -> tuple[LoadedSop | None, list[Problem]]:
    try:
        loaded = load(path)
    except SopRefused as refused:
        further = check(refused.readable, roles, actions, specs, calendars) if refused.readable else []
        return None, sorted([*refused.problems, *further])
    return loaded, check(loaded, roles, actions, specs, calendars)


def _roles(paths: Iterable[Path | str]) -> tuple[dict[str, str], list[Problem]]:
    roles: dict[str, str] = {}
    problems: list[Problem] = []
    for path in dict.fromkeys([BUILT_IN, *map(Path, paths)]):
        try:
            roles |= load_roles(path / "roles.yaml") if (path / "roles.yaml").exists() else {}
        except SopRefused as refused:
            problems += refused.problems
    return roles, problems


def _files(paths: Iterable[Path | str], problems: list[Problem]) -> Iterable[Path]:
    for path in paths:
        try:
            yield from sop_files([path])
        except SopRefused as refused:
            problems += refused.problems
