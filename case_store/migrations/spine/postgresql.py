"""The triggers on PostgreSQL.

They are ENABLE ALWAYS: `session_replication_role = replica` does not switch them off. The functions look up
`audit_events` in the schema of the migration first: a temporary table of that name deceives nobody.
"""

from dataclasses import dataclass
from string import Template

from case_store.migrations.spine.guarded import AUDITED, WRITTEN_ONCE

SEARCH_THIS_SCHEMA_FIRST = "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)"

REQUIRE_EVENT = """
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'casewright: a row of % is never deleted', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (TG_OP = 'INSERT' AND NEW.version IS DISTINCT FROM 1)
        OR (TG_OP = 'UPDATE' AND (NEW.id IS DISTINCT FROM OLD.id OR NEW.version IS DISTINCT FROM OLD.version + 1))
        OR NOT EXISTS (SELECT 1 FROM audit_events
            WHERE entity_id = NEW.id AND entity_version = NEW.version AND entity_type = TG_ARGV[0])
    THEN
        RAISE EXCEPTION 'casewright: a change of % needs its audit event', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
"""
REFUSE = """
BEGIN
    RAISE EXCEPTION 'casewright: % of %, whose rows are kept as they are', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
"""
FUNCTIONS = {"casewright_require_event": REQUIRE_EVENT, "casewright_refuse": REFUSE}

_CREATE_FUNCTION = Template(
    "CREATE FUNCTION $name() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$body$$$body$$body$$"
)
_ENABLE = Template("ALTER TABLE $table ENABLE ALWAYS TRIGGER $name")
_AUDITED = Template(
    "CREATE TRIGGER $name BEFORE INSERT OR DELETE OR UPDATE ON $table"
    " FOR EACH ROW EXECUTE FUNCTION casewright_require_event('$entity')"
)
_WRITTEN_ONCE = Template(
    "CREATE TRIGGER $name BEFORE DELETE OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION casewright_refuse()"
)
_NOT_EMPTIED = Template(
    "CREATE TRIGGER $name BEFORE TRUNCATE ON $table FOR EACH STATEMENT EXECUTE FUNCTION casewright_refuse()"
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger; `create` is written as `pg_get_triggerdef(oid, true)` gives it back."""

    table: str
    name: str
    create: str

    @property
    def enable(self) -> str:
        """The statement that makes it fire in every replication role."""
        return _ENABLE.substitute(table=self.table, name=self.name)


def functions() -> list[str]:
    """Return the statements that make the functions of the triggers."""
    return [create_function(name, body) for name, body in FUNCTIONS.items()]


def create_function(name: str, body: str) -> str:
    """Return the statement that makes a function for triggers."""
    return _CREATE_FUNCTION.substitute(name=name, body=body)


def triggers() -> list[Trigger]:
    """Return the triggers of all guarded tables."""
    return [
        *(_trigger(_AUDITED, table, "audited", entity) for table, entity in AUDITED.items()),
        *(_trigger(_NOT_EMPTIED, table, "not_emptied") for table in AUDITED),
        *(trigger for table in WRITTEN_ONCE for trigger in written_once(table)),
    ]


def written_once(table: str) -> list[Trigger]:
    """Return the triggers of a table whose rows are added and never changed."""
    return [_trigger(_WRITTEN_ONCE, table, "written_once"), _trigger(_NOT_EMPTIED, table, "not_emptied")]


def _trigger(template: Template, table: str, rule: str, entity: str = "") -> Trigger:
    name = f"{table}_{rule}"
    return Trigger(table, name, template.substitute(name=name, table=table, entity=entity))
