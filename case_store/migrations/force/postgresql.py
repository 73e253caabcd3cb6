"""The triggers of the third migration on PostgreSQL, and two functions that act with the rights of the owner.

`casewright_queue` is why an application needs no right to move streams on, or to put anything in the queue. It may be
called by nobody: who could put it on a table of their own would feed it rows of their own.
`casewright_hold_events` is why an application that exports needs no right to change events: LOCK TABLE asks for that.
"""

from string import Template

from case_store.migrations.spine.postgresql import Trigger, create_function

QUEUE = r"""
DECLARE
    told jsonb := NEW.body::jsonb;
BEGIN
    IF NEW.leaf IS DISTINCT FROM sha256('\x00'::bytea || convert_to(NEW.body, 'UTF8'))
        OR (told->>'event_id', told->>'stream', told->>'seq', told->>'type', told->>'request_id', told->>'schema_v',
            told->'actor'->>'kind', told->'actor'->>'id',
            told->'entity'->>'type', told->'entity'->>'id', told->'entity'->>'version')
        IS DISTINCT FROM (NEW.event_id, NEW.stream, NEW.seq::text, NEW.type, NEW.request_id, NEW.schema_v::text,
            NEW.actor_kind, NEW.actor_id,
            NEW.entity_type, NEW.entity_id, NEW.entity_version::text)
    THEN
        RAISE EXCEPTION 'casewright: the columns of an event say what its body says'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    INSERT INTO audit_pending (event_id) VALUES (NEW.event_id);
    UPDATE audit_streams SET seq = NEW.seq, head = NEW.leaf
        WHERE stream = NEW.stream AND seq = NEW.seq - 1 AND encode(head, 'hex') = coalesce(told->>'prev', '');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'casewright: an event has no place but after the last one of its stream'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
"""
# One statement, so one state of the database: somebody else may be beginning the same stream.
BEGIN_STREAM = """
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT count(*) AS events FROM audit_events WHERE stream = NEW.stream) told
        WHERE NOT EXISTS (SELECT 1 FROM audit_streams WHERE stream = NEW.stream)
        AND (NEW.seq <> told.events OR length(NEW.head) <> CASE NEW.seq WHEN 0 THEN 0 ELSE 32 END))
    THEN
        RAISE EXCEPTION 'casewright: a stream begins once, and where its events end'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
"""
MOVE_STREAM = """
BEGIN
    IF NEW.stream IS DISTINCT FROM OLD.stream OR NEW.seq IS DISTINCT FROM OLD.seq + 1 THEN
        RAISE EXCEPTION 'casewright: a stream moves on with its next event'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
"""
REQUIRE_PLACE = """
BEGIN
    IF EXISTS (SELECT 1 FROM gone WHERE NOT EXISTS
        (SELECT 1 FROM audit_leaves WHERE audit_leaves.event_id = gone.event_id))
    THEN
        RAISE EXCEPTION 'casewright: an event waits until it is in the tree'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
"""
REQUIRE_LEAVES = """
BEGIN
    IF EXISTS (SELECT 1 FROM placed LEFT JOIN audit_events ON audit_events.event_id = placed.event_id
        WHERE audit_events.leaf IS DISTINCT FROM placed.leaf
        AND (audit_events.event_id IS NULL OR audit_events.leaf IS NOT NULL))
        OR EXISTS (SELECT 1 FROM (SELECT min(idx) AS first, max(idx) AS last, count(*) AS leaves FROM placed) p
        WHERE p.last - p.first + 1 <> p.leaves OR p.first < 0
        OR (p.first > 0 AND NOT EXISTS (SELECT 1 FROM audit_leaves WHERE idx = p.first - 1)))
    THEN
        RAISE EXCEPTION 'casewright: a leaf is that of its event, and comes after the last one'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
"""
GROW = """
BEGIN
    IF NEW.id IS DISTINCT FROM OLD.id
        OR NEW.size IS DISTINCT FROM (SELECT coalesce(max(idx) + 1, 0) FROM audit_leaves)
    THEN
        RAISE EXCEPTION 'casewright: the tree is as large as it has leaves'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
"""
HOLD_EVENTS = """
BEGIN
    LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE;
END
"""

CHANGED = {"casewright_queue": QUEUE}
NEW = {
    "casewright_begin_stream": BEGIN_STREAM,
    "casewright_move_stream": MOVE_STREAM,
    "casewright_require_place": REQUIRE_PLACE,
    "casewright_require_leaves": REQUIRE_LEAVES,
    "casewright_grow": GROW,
}
CALLED = {"casewright_hold_events": HOLD_EVENTS}
"""What the application calls; all the others are called by triggers."""

FUNCTIONS = NEW | CHANGED | CALLED
WITH_THE_RIGHTS_OF_THE_OWNER = frozenset(CHANGED | CALLED)

_CREATE_CALLED = Template(
    "CREATE FUNCTION $name() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT"
    " AS $$body$$$body$$body$$"
)
_FOR_NOBODY = Template("REVOKE ALL ON FUNCTION $name() FROM PUBLIC")
_ROW = Template("CREATE TRIGGER $name BEFORE $on ON $table FOR EACH ROW EXECUTE FUNCTION $function()")
_ALL = Template(
    "CREATE TRIGGER $name AFTER $on ON $table REFERENCING $rows FOR EACH STATEMENT EXECUTE FUNCTION $function()"
)
_NOT_EMPTIED = Template(
    "CREATE TRIGGER ${table}_not_emptied BEFORE TRUNCATE ON $table"
    " FOR EACH STATEMENT EXECUTE FUNCTION casewright_refuse()"
)


def functions() -> list[str]:
    """Return the statements that make the functions, change an earlier one, and let nobody call them."""
    changed = [
        create_function(name, body).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
        for name, body in CHANGED.items()
    ]
    return [
        *(create_function(name, body) for name, body in NEW.items()),
        *(statement.replace("LANGUAGE plpgsql", "LANGUAGE plpgsql SECURITY DEFINER") for statement in changed),
        *(_CREATE_CALLED.substitute(name=name, body=body) for name, body in CALLED.items()),
        *(_FOR_NOBODY.substitute(name=name) for name in sorted(WITH_THE_RIGHTS_OF_THE_OWNER)),
    ]


def triggers() -> list[Trigger]:
    """Return the triggers; none stands in place of an earlier one."""
    return [
        _row("audit_streams", "begun", "INSERT", "casewright_begin_stream"),
        _row("audit_streams", "moved", "UPDATE", "casewright_move_stream"),
        _row("audit_streams", "kept", "DELETE", "casewright_refuse"),
        _row("audit_pending", "kept", "UPDATE", "casewright_refuse"),
        _all("audit_pending", "placed", "DELETE", "OLD TABLE AS gone", "casewright_require_place"),
        _all("audit_leaves", "placed", "INSERT", "NEW TABLE AS placed", "casewright_require_leaves"),
        _row("audit_tree", "one", "INSERT OR DELETE", "casewright_refuse"),
        _row("audit_tree", "grown", "UPDATE", "casewright_grow"),
        *(_not_emptied(table) for table in ("audit_streams", "audit_pending", "audit_tree")),
    ]


def _row(table: str, rule: str, on: str, function: str) -> Trigger:
    name = f"{table}_{rule}"
    return Trigger(table, name, _ROW.substitute(name=name, on=on, table=table, function=function))


def _all(table: str, rule: str, on: str, rows: str, function: str) -> Trigger:
    name = f"{table}_{rule}"
    return Trigger(table, name, _ALL.substitute(name=name, on=on, table=table, rows=rows, function=function))


def _not_emptied(table: str) -> Trigger:
    return Trigger(table, f"{table}_not_emptied", _NOT_EMPTIED.substitute(table=table))
