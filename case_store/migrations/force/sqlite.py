"""The triggers of the third migration on SQLite."""

from string import Template

_PLACED = Template("CREATE TRIGGER $name BEFORE $on WHEN $wrong BEGIN SELECT RAISE(ABORT, 'casewright: $words'); END")

# SQLite's JSON functions may not be used here (`trusted_schema` is off), and need not be: the body is canonical, and a
# quotation mark inside its texts is escaped.
_COMES_NEXT = (
    "EXISTS (SELECT 1 FROM audit_streams WHERE stream = NEW.stream AND seq = NEW.seq - 1"
    " AND instr(NEW.body, '\"event_id\":\"' || NEW.event_id || '\",') AND instr(NEW.body, '\"seq\":' || NEW.seq || ',')"
    " AND instr(NEW.body, '\"prev\":' || CASE length(head)"
    " WHEN 0 THEN 'null' ELSE '\"' || lower(hex(head)) || '\"' END || ','))"
)
_BEGUN_WRONG = (
    "EXISTS (SELECT 1 FROM audit_streams WHERE stream = NEW.stream)"
    " OR NEW.seq IS NOT (SELECT count(*) FROM audit_events WHERE stream = NEW.stream)"
    " OR length(NEW.head) IS NOT CASE NEW.seq WHEN 0 THEN 0 ELSE 32 END"
)
_MOVED_WRONG = (
    "NEW.stream IS NOT OLD.stream OR NEW.seq IS NOT OLD.seq + 1 OR NOT EXISTS (SELECT 1 FROM audit_events"
    " WHERE stream = NEW.stream AND seq = NEW.seq AND leaf = NEW.head)"
)
_NOT_WAITING = (
    "NOT EXISTS (SELECT 1 FROM audit_events WHERE event_id = NEW.event_id)"
    " OR EXISTS (SELECT 1 FROM audit_leaves WHERE event_id = NEW.event_id)"
)
_PLACED_WRONG = (
    "NEW.idx IS NOT (SELECT ifnull(max(idx) + 1, 0) FROM audit_leaves) OR NOT EXISTS (SELECT 1 FROM audit_events"
    " WHERE event_id = NEW.event_id AND (leaf IS NULL OR leaf = NEW.leaf))"
)

_QUEUED = (
    "CREATE TRIGGER audit_events_queued AFTER INSERT ON audit_events BEGIN"
    " INSERT INTO audit_pending (event_id) VALUES (NEW.event_id);"
    " UPDATE audit_streams SET seq = NEW.seq, head = NEW.leaf WHERE stream = NEW.stream; END"
)

_RULES = {
    "audit_events_place": (
        "INSERT ON audit_events",
        Template("NOT $next OR length(NEW.leaf) IS NOT 32").substitute(next=_COMES_NEXT),
        "an event has no place but after the last one of its stream",
    ),
    "audit_streams_insert": (
        "INSERT ON audit_streams",
        _BEGUN_WRONG,
        "a stream begins once, and where its events end",
    ),
    "audit_streams_update": (
        "UPDATE ON audit_streams",
        _MOVED_WRONG,
        "a stream moves on with its next event",
    ),
    "audit_streams_delete": ("DELETE ON audit_streams", "1", "a row of audit_streams is never deleted"),
    "audit_pending_insert": (
        "INSERT ON audit_pending",
        _NOT_WAITING,
        "only an event that is not in the tree waits for it",
    ),
    "audit_pending_update": ("UPDATE ON audit_pending", "1", "a row of audit_pending is never changed"),
    "audit_pending_delete": (
        "DELETE ON audit_pending",
        "NOT EXISTS (SELECT 1 FROM audit_leaves WHERE event_id = OLD.event_id)",
        "an event waits until it is in the tree",
    ),
    "audit_leaves_place": (
        "INSERT ON audit_leaves",
        _PLACED_WRONG,
        "a leaf is that of its event, and comes after the last one",
    ),
    "audit_tree_insert": ("INSERT ON audit_tree", "1", "there is one tree"),
    "audit_tree_update": (
        "UPDATE ON audit_tree",
        "NEW.id IS NOT OLD.id OR NEW.size IS NOT (SELECT ifnull(max(idx) + 1, 0) FROM audit_leaves)",
        "the tree is as large as it has leaves",
    ),
    "audit_tree_delete": ("DELETE ON audit_tree", "1", "there is one tree"),
}

_UNIQUE = {
    "people": ("handle",),
    "cases": ("number",),
    "stages": ("case_id", "key"),
    "tasks": ("case_id", "key"),
    "executions": ("task_id", "number"),
    "alerts": ("source", "source_ref"),
    "observables": ("case_id", "type", "value_sha256"),
}
"""What else than the id is unique in audited rows: REPLACE would delete, without a word, the row that has it."""

# In SQLite's own words: to whoever meets it, it is the constraint that it guards.
_TAKEN = Template(
    "CREATE TRIGGER ${table}_taken_$verb BEFORE $on ON $table"
    " WHEN EXISTS (SELECT 1 FROM $table WHERE $same AND id IS NOT $itself)"
    " BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: $names'); END"
)
_SAME = Template("$column = NEW.$column")
_NAMED = Template("$table.$column")


def triggers() -> dict[str, str]:
    """Return the statement that makes each trigger, by its name; one of them stands in place of an earlier one."""
    rules = {
        name: _PLACED.substitute(name=name, on=on, wrong=wrong, words=words)
        for name, (on, wrong, words) in _RULES.items()
    }
    taken = {
        name: statement for table, columns in _UNIQUE.items() for name, statement in not_taken(table, columns).items()
    }
    return rules | taken | {"audit_events_queued": _QUEUED}


def not_taken(table: str, columns: tuple[str, ...]) -> dict[str, str]:
    """Return the triggers that keep REPLACE from pushing out the row that has these columns already."""
    words = {
        "table": table,
        "same": " AND ".join(_SAME.substitute(column=column) for column in columns),
        "names": ", ".join(_NAMED.substitute(table=table, column=column) for column in columns),
    }
    ways = {"insert": ("INSERT", "NEW.id"), "update": ("UPDATE OF " + ", ".join(columns), "OLD.id")}
    return {
        f"{table}_taken_{verb}": _TAKEN.substitute(words, verb=verb, on=on, itself=itself)
        for verb, (on, itself) in ways.items()
    }
