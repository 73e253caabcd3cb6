"""The options that all erasures share, and how they say what was erased."""

from typing import Annotated

from cyclopts import Parameter

from console.text import numbered

Basis = Annotated[str, Parameter(help="On what ground, for the record; put no personal value in it.")]
Ticket = Annotated[str | None, Parameter(help="Where the request is kept.")]
DryRun = Annotated[bool, Parameter(negative=(), help="Only say what would be erased.")]
Yes = Annotated[bool, Parameter(negative=(), help="Do not ask.")]


def erased(values: int, files: int) -> str:
    """Say how much was erased."""
    of_evidence = numbered(files, "file of evidence", "files of evidence")
    return f"{numbered(values, 'value')} in the record, {of_evidence}"
