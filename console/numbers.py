"""Numbers on the command line: what is out of range is said in words, before anything is asked of a database."""

from collections.abc import Callable
from typing import Annotated, Final

from cyclopts import Parameter

Check = Callable[[object, int | None], None]

MANY: Final = 10**12
"""More events than any record has; whole numbers far beyond it are none for the databases."""


def between(least: int, most: int) -> Check:
    """Return what refuses numbers outside of these bounds, both included."""

    def check(_: object, number: int | None) -> None:
        if number is not None and not least <= number <= most:
            raise ValueError(f"Give a whole number from {least:,} to {most:,}.")

    return check


Count = Annotated[int, Parameter(validator=between(1, 100_000))]
"""How many of something."""
Nth = Annotated[int, Parameter(validator=between(1, MANY))]
"""The number of an event, counted from 1."""
Place = Annotated[int, Parameter(validator=between(0, MANY))]
"""A place in the tree, counted from 0."""
Port = Annotated[int, Parameter(validator=between(0, 65_535))]
"""A port; 0 for any free one."""
Processes = Annotated[int, Parameter(validator=between(1, 1_024))]
"""How many processes work at once."""
Seconds = Annotated[int, Parameter(validator=between(0, 1_000_000_000))]
"""A time in seconds."""
