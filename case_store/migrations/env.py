"""Alembic's environment: runs on the connection that `case_store.migrate` hands over, else on that of the settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from case_store.engines import migrating_engine, parse_url
from case_store.models import Base
from case_store.settings import Settings


def run(connection: Connection) -> None:
    """Run the scripts in the transaction that the connection is in."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        # SQLite has no identity columns; Alembic would take that for a changed default.
        compare_server_default=connection.dialect.name != "sqlite",
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,  # on SQLite too: our connections begin for themselves
    )
    context.run_migrations()


async def connect_and_run() -> None:
    """Run on the database of the settings: this is how `alembic revision --autogenerate` comes here."""
    engine = migrating_engine(parse_url(Settings().database_url))
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if isinstance(handed_over := context.config.attributes.get("connection"), Connection):
    run(handed_over)
else:
    asyncio.run(connect_and_run())
