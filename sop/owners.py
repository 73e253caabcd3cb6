"""Who a task belongs to, as a rule that is resolved when the task opens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PATTERN = r"^(case-owner|role:[a-z][a-z0-9_-]{0,39}|user:[A-Za-z0-9][A-Za-z0-9._@-]{0,63})$"
APPROVER_PATTERN = r"^(role:[a-z][a-z0-9_-]{0,39}|user:[A-Za-z0-9][A-Za-z0-9._@-]{0,63})$"

_SHAPE = re.compile(PATTERN.replace("$", r"\Z"))


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner rule taken apart; `name` is the role or the handle, None for the case's owner."""

    kind: Literal["user", "role", "case-owner"]
    name: str | None = None


def parse_owner(rule: str) -> Owner:
    """Take an owner rule apart.

    Raises:
        ValueError: the rule is none of `role:ROLE`, `user:HANDLE` and `case-owner`.
    """
    if not _SHAPE.match(rule):
        raise ValueError(f"{rule!r} is not an owner rule")
    if rule == "case-owner":
        return Owner("case-owner")
    kind, _, name = rule.partition(":")
    return Owner("user" if kind == "user" else "role", name)
