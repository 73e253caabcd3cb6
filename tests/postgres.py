"""The PostgreSQL server of the tests, and whether it can be reached.

    python -m tests.postgres

says which server that is, or why there is none and how to get one (exit code 1).
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import asyncpg
from sqlalchemy.engine import URL, make_url

VARIABLE = "CASEWRIGHT_TEST_POSTGRES_URL"
DEFAULT = "postgresql://postgres@127.0.0.1:5432"
HOW_TO_GET_IT = (
    f"start one (Debian: apt-get install postgresql) and name it: {VARIABLE}=postgresql://user:password@127.0.0.1:5432 "
    "(a superuser: tests create databases and roles)"
)


class PostgresMissing(Exception):
    """The server of the tests cannot be reached."""


def server() -> URL:
    """Read from the environment which server the tests use; its database is the one to connect to for a start."""
    url = make_url(os.environ.get(VARIABLE, DEFAULT)).set(drivername="postgresql")
    return url if url.database else url.set(database="postgres")


def on_server(statement: str) -> str:
    """Run one statement on the server and return its first value as text."""
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop running in this one
        return thread.submit(asyncio.run, _on_server(statement)).result()


async def _on_server(statement: str) -> str:
    url = server()
    try:
        connection = await asyncpg.connect(url.render_as_string(hide_password=False), timeout=10)
    except (OSError, asyncpg.PostgresError) as error:
        where = f"{url.host or 'its socket'}:{url.port or 5432}"
        raise PostgresMissing(f"No PostgreSQL for the tests at {where}: {error or type(error).__name__}") from error
    try:
        return str(await connection.fetchval(statement))
    finally:
        await connection.close()


if __name__ == "__main__":
    try:
        sys.stdout.write(on_server("SELECT version()") + "\n")
    except PostgresMissing as error:
        sys.exit(f"{error}\n  next: {HOW_TO_GET_IT}")
