"""The triggers on SQLite.

REPLACE (`INSERT OR REPLACE`, `REPLACE INTO`) fires no DELETE trigger unless the connection has `recursive_triggers`
on (https://www.sqlite.org/lang_conflict.html), so there is a trigger of its own against it.
"""

from string import Template

from case_store.migrations.spine.guarded import AUDITED, WRITTEN_ONCE

_AUDITED = {
    "insert": Template(
        "CREATE TRIGGER ${table}_insert BEFORE INSERT ON $table"
        " WHEN NEW.version IS NOT 1 OR NOT EXISTS (SELECT 1 FROM audit_events"
        " WHERE entity_id = NEW.id AND entity_version = 1 AND entity_type = '$entity')"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a new row of $table needs its audit event'); END"
    ),
    "replace": Template(
        "CREATE TRIGGER ${table}_replace BEFORE INSERT ON $table"
        " WHEN EXISTS (SELECT 1 FROM $table WHERE id = NEW.id)"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never replaced'); END"
    ),
    "update": Template(
        "CREATE TRIGGER ${table}_update BEFORE UPDATE ON $table"
        " WHEN NEW.id IS NOT OLD.id OR NEW.version IS NOT OLD.version + 1 OR NOT EXISTS (SELECT 1 FROM audit_events"
        " WHERE entity_id = NEW.id AND entity_version = NEW.version AND entity_type = '$entity')"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a change of $table needs its audit event'); END"
    ),
    "delete": Template(
        "CREATE TRIGGER ${table}_delete BEFORE DELETE ON $table"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never deleted'); END"
    ),
}
_WRITTEN_ONCE = {
    "update": Template(
        "CREATE TRIGGER ${table}_update BEFORE UPDATE ON $table"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never changed'); END"
    ),
    "delete": Template(
        "CREATE TRIGGER ${table}_delete BEFORE DELETE ON $table"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never deleted'); END"
    ),
}
_AGAINST_REPLACE = {
    "audit_events_replace": (
        "CREATE TRIGGER audit_events_replace BEFORE INSERT ON audit_events"
        " WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id OR event_id = NEW.event_id)"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_events is never replaced'); END"
    ),
    "audit_events_version": (
        "CREATE TRIGGER audit_events_version BEFORE INSERT ON audit_events"
        " WHEN EXISTS (SELECT 1 FROM audit_events"
        " WHERE entity_id = NEW.entity_id AND entity_version = NEW.entity_version)"
        " BEGIN SELECT RAISE(ABORT, 'casewright: this version has its audit event already'); END"
    ),
    "sops_replace": (
        "CREATE TRIGGER sops_replace BEFORE INSERT ON sops"
        " WHEN EXISTS (SELECT 1 FROM sops WHERE digest = NEW.digest"
        " AND (key IS NOT NEW.key OR version IS NOT NEW.version OR text IS NOT NEW.text))"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of sops is never replaced'); END"
    ),
    "note_revisions_replace": (
        "CREATE TRIGGER note_revisions_replace BEFORE INSERT ON note_revisions"
        " WHEN EXISTS (SELECT 1 FROM note_revisions WHERE note_id = NEW.note_id AND revision = NEW.revision)"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of note_revisions is never replaced'); END"
    ),
}


def triggers() -> dict[str, str]:
    """Return the statement that makes each trigger, by its name."""
    audited = {
        f"{table}_{on}": template.substitute(table=table, entity=entity)
        for table, entity in AUDITED.items()
        for on, template in _AUDITED.items()
    }
    once = {
        f"{table}_{on}": template.substitute(table=table)
        for table in WRITTEN_ONCE
        for on, template in _WRITTEN_ONCE.items()
    }
    return {**audited, **once, **_AGAINST_REPLACE}
