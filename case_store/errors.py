"""What the case store refuses, and what to do about it.

Every error is a `StoreError`. Its message says what was refused and where; `next_step` says what to
do next. Errors below `StoreUnavailable` are temporary: the same request may succeed a moment later.
"""

from __future__ import annotations


class StoreError(Exception):
    """The case store refused the request."""

    next_step: str = "read the message, correct the request and send it again"

    def __init__(self, message: str | None = None, *, next_step: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().split("\n")[0])
        if next_step is not None:
            self.next_step = next_step

    def diagnostics(self) -> str:
        """Return the message and the next step, as a person reads them."""
        return f"{self}\n  next: {self.next_step}"


# --- temporary: nothing is wrong with the request ---------------------------------------------


class StoreUnavailable(StoreError):
    """The database cannot be reached."""

    next_step = "check that the database is running and reachable, then try again"


class StoreBusy(StoreUnavailable):
    """Another writer holds the database for too long."""

    next_step = "try again; if it lasts, look for a process that keeps a transaction open"


class CommitUnknown(StoreUnavailable):
    """The connection broke during the commit: the change may or may not be on record."""

    next_step = "look whether the change is there, or repeat it with the same idempotency key"


class ConcurrentChange(StoreUnavailable):
    """Somebody else changed the same thing at the same moment; nothing of yours was written."""

    next_step = "read it again and decide again"


# --- the database itself ------------------------------------------------------------------------


class StoreFull(StoreError):
    """The disk of the database is full; nothing was written."""

    next_step = "free space on the disk that holds the database; no restart is needed"


class StoreUnwritable(StoreError):
    """The database file or its folder cannot be written."""

    next_step = "check the owner and the permissions of the database file and its folder"


class StoreDenied(StoreError):
    """The database server does not know this database or this user."""

    next_step = "check CASEWRIGHT_DATABASE_URL: host, database, user and password; create the database if it is missing"


class StoreDamaged(StoreError):
    """The database file is damaged."""

    next_step = "stop writing to it, keep a copy of the file, and restore the newest backup"


class SchemaNotCurrent(StoreError):
    """The tables of the database are not those of this version."""

    next_step = "run: casewright db upgrade"


class GuardsMissing(StoreError):
    """The database lacks the triggers that protect the audit trail."""

    next_step = "run: casewright db check, restore the triggers and find out who removed them"


class AuditKeyUnusable(StoreError):
    """The key that signs for the audit log cannot be used."""

    next_step = "put the key back from its copy; without it, exports from now on cannot be told from forged ones"


class LinkKeyUnusable(StoreError):
    """The key that signs links cannot be used."""

    next_step = "put the file back from its copy, or remove it: a new key is made, and links sent so far end"


class NotTheLogsKey(StoreError):
    """This machine holds another key than the one that signs for the audit log."""

    next_step = (
        "copy the key folder from the machine whose relay signs, or name that folder in CASEWRIGHT_KEY_FOLDER;"
        " a relay that has it goes on sealing meanwhile"
    )

    def __init__(self, held: str = "", current: str = "") -> None:
        self.held = held  # the id of the key here, in hexadecimal
        self.current = current  # the public key that signs, or the name of the log where that key is not known
        said = f"the key here (id {held}) is not the one that signs for the audit log: {current}"
        super().__init__(said if held else None)


class WitnessSettingRefused(StoreError):
    """A witness of the audit log is set up wrongly."""

    next_step = "copy the line that `casewright witness` prints at its start: CASEWRIGHT_WITNESSES='URL KEY, URL KEY'"


class TimestampSettingRefused(StoreError):
    """The time-stamping authority is set up wrongly."""

    next_step = (
        "set CASEWRIGHT_TIMESTAMP_URL to its address, and CASEWRIGHT_TIMESTAMP_CA_FILE to its certificates (PEM)"
    )


class WitnessStateUnusable(StoreError):
    """What the witness remembers cannot be read or written."""

    next_step = "put the file back from its copy; a witness that forgets would confirm a log that was rewritten"


class NotSealed(StoreUnavailable):
    """New audit events are not taken into the signed tree."""

    next_step = "see that a relay runs (casewright up, or casewright relay), then try again"


class ClocksDiffer(StoreError):
    """The clocks of this machine and of the relay that signs differ: a verifier would take the bundle for a cut one."""

    next_step = "set the clocks, then export it again"


class ErasedMeanwhile(StoreError):
    """Personal values were erased while the bundle was being written."""

    next_step = "export it again"


class NoSuchExport(StoreError):
    """The export that should go on is not on record in this database."""

    next_step = "look whether CASEWRIGHT_HOME and CASEWRIGHT_DATABASE_URL are those of then, or export anew"


class BadDatabaseUrl(StoreError):
    """The database URL is not one that the case store can use."""

    next_step = "give sqlite+aiosqlite:///FILE or postgresql://USER@HOST/DATABASE"


class DatabaseRefused(StoreError):
    """A rule of the database refused the change."""

    next_step = "change rows only through the verbs of the case store"


class NotPermitted(StoreError):
    """The database does not permit this to the role or the connection of the program."""

    next_step = (
        "run: casewright db check. To change tables (casewright db upgrade) connect as their owner; "
        "after that the owner runs casewright db harden again"
    )


class RolesRefused(StoreError):
    """These roles cannot be set up."""

    next_step = "see docs/howto/harden.md"


class ConstraintBroken(StoreError):
    """The change contradicts what is on record (a name taken, a row that does not exist)."""

    next_step = "read what is on record and correct the request"


# --- the guards of the session ----------------------------------------------------------------


class GuardError(StoreError):
    """The session refused a change that breaks a rule of the audit trail."""

    next_step = "this is a mistake in the program: report it with the message"


class UnauditedChange(GuardError):
    """A row would change without an audit event."""

    next_step = "declare the event with tx.record(...) before the flush"


class UnattributedChange(GuardError):
    """An audit event names nobody who did it."""

    next_step = "pass by=Actor.person(...), Actor.system(...) or Actor.run(...)"


class UntimedChange(GuardError):
    """An audit event has no time, or a time without a zone."""

    next_step = "pass at= as an aware datetime; the edge asks the clock, verbs do not"


class TwoEventsForOneChange(GuardError):
    """One flush of one row may carry only one audit event."""

    next_step = "call await tx.flush() between the two changes"


class BulkChangeRefused(GuardError):
    """A bulk or textual INSERT, UPDATE or DELETE on an audited table has no before and after."""

    next_step = "load the rows, change the objects and record one event for each"


class AuditedRowDeleted(GuardError):
    """Rows of the book of record are never deleted."""

    next_step = "close or cancel it instead"


class AppendOnly(GuardError):
    """Rows of this table are written once and never changed."""

    next_step = "write a new row; audit events are written by tx.record(...) alone"


class BeforeUnknown(GuardError):
    """The value before the change was not loaded, so the audit event cannot tell it."""

    next_step = "refresh the object before changing it"


class NotCanonical(GuardError):
    """A value has no canonical form in an audit event."""

    next_step = "use text, whole numbers, booleans, dates, lists and maps"


class NotCatalogued(GuardError):
    """An audit event is not as the catalogue of events says."""

    next_step = "correct the name, or describe the event in case_store/audit/catalogue/ (see CONTRIBUTING)"


class ReadOnly(GuardError):
    """A reading transaction changes nothing."""

    next_step = "use store.transaction() to change something"


class NestedTransaction(GuardError):
    """This task already holds a writing transaction; a second one would wait for the first."""

    next_step = "pass the open tx on instead of opening another"
