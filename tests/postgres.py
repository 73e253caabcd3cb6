"""The PostgreSQL server of the tests, and whether it can be reached.

    python -m tests.postgres

says which server that is, or why there is none and how to get one (exit code 1).
"""

import asyncio
import os
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

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


class Copies:
    """Copies of one database, for tests to have one each.

    Making and dropping one takes the server longer than most tests take, so a thread does both beside them: the next
    copies are made before somebody asks for them.
    """

    def __init__(self, template: str, ahead: int = 2) -> None:
        self._template, self._ahead = template, ahead
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="copies")
        self._made: deque[Future[str]] = deque()
        self._dropped: list[Future[str]] = []

    def take(self) -> str:
        """Return the name of a copy that nobody has."""
        while len(self._made) <= self._ahead:
            self._made.append(self._thread.submit(self._make))
        return self._made.popleft().result()

    def give_back(self, name: str) -> None:
        """Have a copy dropped, with every connection to it."""
        self._dropped.append(self._thread.submit(on_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def close(self) -> None:
        """Drop what is left, and wait until nothing is."""
        for made in self._made:
            self.give_back(made.result())
        self._thread.shutdown()
        for dropped in self._dropped:
            dropped.result()

    def _make(self) -> str:
        name = f"casewright_copy_{uuid4().hex[:12]}"
        on_server(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        return name


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
