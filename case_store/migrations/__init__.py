"""How the tables came to be: Alembic scripts, run by `case_store.migrate`."""
