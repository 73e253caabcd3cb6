"""The flows that `prefect deploy` finds: `flows/sops.py:ssh_bruteforce` is the flow of the SOP `ssh-bruteforce`.

Each attribute is made when it is asked for, from the SOP files of this installation.
"""

from __future__ import annotations

from functools import cache

from prefect.flows import Flow

from case_store.settings import Settings
from flows import names
from flows.sop_flow import sop_flow
from sop.library import Library


@cache
def flows() -> dict[str, Flow[..., object]]:
    """Return the flow of each SOP, by what this module calls it."""
    settings = Settings()
    library = Library.load(settings.sops, settings.actions)
    return {names.attribute(key): sop_flow(loaded) for key, loaded in library.sops.items()}


def __getattr__(name: str) -> Flow[..., object]:
    if name.startswith("_") or name not in flows():
        raise AttributeError(f"there is no SOP {name.replace('_', '-')!r} in this installation")
    return flows()[name]
