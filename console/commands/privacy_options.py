"""The options that all erasures share."""

from typing import Annotated

from cyclopts import Parameter

Basis = Annotated[str, Parameter(help="On what ground, for the record; put no personal value in it.")]
Ticket = Annotated[str | None, Parameter(help="Where the request is kept.")]
DryRun = Annotated[bool, Parameter(negative=(), help="Only say what would be erased.")]
Yes = Annotated[bool, Parameter(negative=(), help="Do not ask.")]
