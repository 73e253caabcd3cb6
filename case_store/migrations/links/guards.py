"""The triggers of the twelfth migration: links are audited as cases and tasks are."""

from case_store.migrations.force.sqlite import not_taken
from case_store.migrations.spine import postgresql, sqlite
from case_store.migrations.spine.postgresql import Trigger

TABLE, ENTITY = "answer_links", "answer_link"


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    as_of_people = {name: made for name, made in sqlite.triggers().items() if name.startswith("people_")}
    audited = {name.replace("people", TABLE): _for_links(made) for name, made in as_of_people.items()}
    return audited | not_taken(TABLE, ("name_sha256",))


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    as_of_people = (one for one in postgresql.triggers() if one.table == "people")
    return [Trigger(TABLE, one.name.replace("people", TABLE), _for_links(one.create)) for one in as_of_people]


def _for_links(statement: str) -> str:
    return statement.replace("people", TABLE).replace("'person'", f"'{ENTITY}'")
