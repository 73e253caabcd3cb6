"""The triggers of the sixth migration.

A disclosure is never changed, and deleted only after an event `privacy.erased` about the same row that came later than
the event it belongs to. A wording of a note is overwritten only with a pseudonym, and only after such an event.
"""

from string import Template

from case_store.migrations.spine.postgresql import Trigger

REWORDED = "note_revisions_update"
"""The trigger of the first migration that this one puts another in the place of, on SQLite."""
REWORDED_POSTGRESQL = "note_revisions_written_once"

_NOT_ERASED = (
    "NOT EXISTS (SELECT 1 FROM audit_events AS erased WHERE erased.entity_id = OLD.about_id"
    " AND erased.entity_type = OLD.about_type AND erased.type = 'privacy.erased'"
    " AND erased.id >= (SELECT told.id FROM audit_events AS told WHERE told.event_id = OLD.event_id))"
)
_NO_PSEUDONYM = Template(
    'NEW.note_id IS $differs OLD.note_id OR NEW.revision IS $differs OLD.revision OR NEW."at" IS $differs OLD."at"'
    ' OR NEW."by" IS $differs OLD."by" OR NEW.body NOT LIKE \'erased-____________\''
    " OR NOT EXISTS (SELECT 1 FROM audit_events WHERE entity_id = OLD.note_id"
    " AND entity_type = 'note' AND type = 'privacy.erased')"
)
_SQLITE = {
    "audit_private_update": Template(
        "CREATE TRIGGER audit_private_update BEFORE UPDATE ON audit_private"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_private is never changed'); END"
    ),
    "audit_private_replace": Template(
        "CREATE TRIGGER audit_private_replace BEFORE INSERT ON audit_private"
        " WHEN EXISTS (SELECT 1 FROM audit_private WHERE event_id = NEW.event_id AND pointer = NEW.pointer)"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_private is never replaced'); END"
    ),
    "audit_private_delete": Template(
        "CREATE TRIGGER audit_private_delete BEFORE DELETE ON audit_private WHEN $not_erased"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_private is deleted by an erasure only'); END"
    ),
    REWORDED: Template(
        "CREATE TRIGGER note_revisions_update BEFORE UPDATE ON note_revisions WHEN $no_pseudonym"
        " BEGIN SELECT RAISE(ABORT, 'casewright: a row of note_revisions is never changed'); END"
    ),
}
_FORGET = Template("""
BEGIN
    IF TG_OP = 'UPDATE' OR $not_erased
    THEN
        RAISE EXCEPTION 'casewright: % of %, whose rows are deleted by an erasure only', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
""")
_REWORD = Template("""
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT ($no_pseudonym) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'casewright: % of %, whose rows are kept as they are', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
""")
FUNCTIONS = {
    "casewright_forget": _FORGET.substitute(not_erased=_NOT_ERASED),
    "casewright_reword": _REWORD.substitute(no_pseudonym=_NO_PSEUDONYM.substitute(differs="DISTINCT FROM")),
}


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    parts = {"not_erased": _NOT_ERASED, "no_pseudonym": _NO_PSEUDONYM.substitute(differs="NOT")}
    return {name: template.substitute(parts) for name, template in _SQLITE.items()}


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    return [
        Trigger(
            "audit_private",
            "audit_private_forgotten",
            "CREATE TRIGGER audit_private_forgotten BEFORE DELETE OR UPDATE ON audit_private"
            " FOR EACH ROW EXECUTE FUNCTION casewright_forget()",
        ),
        Trigger(
            "audit_private",
            "audit_private_not_emptied",
            "CREATE TRIGGER audit_private_not_emptied BEFORE TRUNCATE ON audit_private"
            " FOR EACH STATEMENT EXECUTE FUNCTION casewright_refuse()",
        ),
        Trigger(
            "note_revisions",
            REWORDED_POSTGRESQL,
            "CREATE TRIGGER note_revisions_written_once BEFORE DELETE OR UPDATE ON note_revisions"
            " FOR EACH ROW EXECUTE FUNCTION casewright_reword()",
        ),
    ]
