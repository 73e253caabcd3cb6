"""The flows that `prefect deploy` finds: `flows/sops.py:ssh_bruteforce` is the flow of the SOP `ssh-bruteforce`.

Each attribute is made when it is asked for, from the SOP files of this installation.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect.flows import Flow

from case_store.settings import Settings
from flows import names
from flows.sop_flow import sop_flow
from sop.library import Library, directories

Files = tuple[tuple[str, int, int], ...]


def flows() -> dict[str, Flow[..., Any]]:
    """Return the flow of each SOP, by what this module calls it; a file that changed is read anew."""
    settings = Settings()
    folders = tuple(directories(settings.sops))
    return _flows(_state_of(folders), folders, settings.actions)


@lru_cache(maxsize=1)
def _flows(_: Files, folders: tuple[Path, ...], actions: tuple[str, ...]) -> dict[str, Flow[..., Any]]:
    library = Library.load(folders, actions)
    return {names.attribute(key): sop_flow(loaded) for key, loaded in library.sops.items()}


def _state_of(folders: tuple[Path, ...]) -> Files:
    """Return what tells whether an SOP file changed since it was read."""
    files = [file for folder in folders for file in sorted(folder.glob("*.yaml"))]
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def __getattr__(name: str) -> Flow[..., Any]:
    known = {} if name.startswith("_") else flows()
    if name not in known:
        raise AttributeError(f"there is no SOP {name.replace('_', '-')!r} in this installation")
    return known[name]
