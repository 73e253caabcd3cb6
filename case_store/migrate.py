"""Bring a database to the tables of this version."""

from __future__ import annotations

from case_store.engines import create_engines, create_sqlite_file, parse_url, sqlite_file
from case_store.models import Base


async def upgrade(url: str) -> None:
    """Create or change the tables."""
    parsed = parse_url(url)
    if file := sqlite_file(parsed):
        create_sqlite_file(file)
    engines = create_engines(parsed)
    async with engines.writing.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engines.dispose()
