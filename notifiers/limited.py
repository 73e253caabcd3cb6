"""Fills a template that is not ours in by a process of its own, which may use little memory and little time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from notifiers.cleaning import one_line
from notifiers.errors import RenderRefused

MEMORY: Final = 256 * 1024 * 1024
CPU: Final = 2
WALL: Final = 3.0
_STEP: Final = "Make the template shorter and simpler: casewright notify preview shows what it makes."

_ROOM: Final = "Give this machine memory, or its user more processes (ulimit -u); our own words are used meanwhile."


def fill_apart(parts: Mapping[str, tuple[str, str]], facts: Mapping[str, object]) -> dict[str, str]:
    """Fill parts in, each given as (name, source); returns the same parts, filled.

    Raises:
        RenderRefused: A template or a fact is not as it has to be, it takes more than the limits allow, or this machine
            starts no more processes.
    """
    request = json.dumps({"parts": parts, "facts": facts}).encode()
    command = [sys.executable, "-I", "-m", "notifiers.filling"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter, and the template goes in as data
            command, input=request, capture_output=True, timeout=WALL, check=False, env={}
        )
    except subprocess.TimeoutExpired as error:
        raise RenderRefused(f"{_names(parts)}: it took longer than {WALL:g} s", next_step=_STEP) from error
    except OSError as error:
        raise RenderRefused(f"{_names(parts)}: no process can be started: {error}", next_step=_ROOM) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        limits = f"{CPU} s of work or {MEMORY // (1024 * 1024)} MiB"
        raise RenderRefused(f"{_names(parts)}: it needs more than {limits}", next_step=_STEP) from None
    if "refused" in answer:
        raise RenderRefused(one_line(str(answer["refused"]), 500), next_step=_STEP)
    return {part: str(answer["filled"][part]) for part in parts}


def _names(parts: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in parts.values())
