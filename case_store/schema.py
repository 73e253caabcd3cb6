"""Whether the tables and triggers of a database are those of this version."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from case_store.errors import SchemaNotCurrent

HEAD = "0001"


def require_current(connection: Connection) -> None:
    """Refuse a database that this version cannot work on."""
    try:
        connection.execute(text("SELECT count(*) FROM cases"))
    except DBAPIError as error:
        raise SchemaNotCurrent("the database has no tables") from error
