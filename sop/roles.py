"""`roles.yaml`: the roles that SOPs may name, with the title people read."""

from __future__ import annotations

import re
from pathlib import Path as File

from sop.errors import Problem, SopRefused
from sop.model import KEY_PATTERN
from sop.wording import shown
from sop.yaml_reader import Document, content_of, read


def load_roles(path: File | str) -> dict[str, str]:
    """Load a mapping from the role's key to its title.

    Raises:
        SopRefused: the file cannot be read or is something else.
    """
    return loads_roles(content_of(path).decode("utf-8", "replace"), str(path))


def loads_roles(text: str, source: str = "<roles>") -> dict[str, str]:
    """Load roles from a text; see `load_roles`."""
    document = read(text.removeprefix("\ufeff"), source)
    if not isinstance(document.data, dict):
        raise SopRefused([Problem(source, 1, "There are no roles here.", "Write one a line: `tier1: Tier 1 analyst`.")])
    roles, problems = {}, list(document.problems)
    for key, title in document.data.items():
        if not re.fullmatch(KEY_PATTERN, key):
            problems.append(_wrong_key(document, key))
        elif isinstance(title, str) and title.strip():
            roles[key] = title.strip()
        elif not document.is_spoiled((key,)):
            message = f"The role {key!r} has no title."
            problems.append(Problem(source, document.line((key,)), message, f"Write `{key}: what people read`."))
    if problems:
        raise SopRefused(problems)
    return roles


def _wrong_key(document: Document, key: str) -> Problem:
    step = "Use small letters, digits, - and _, beginning with a letter: incident-manager."
    return Problem(document.source, document.line((key,)), f"{shown(key)!r} is not a role's key.", step)
