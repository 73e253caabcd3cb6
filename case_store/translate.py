"""The drivers' errors in our words: what happened, whether it is temporary, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from case_store.errors import (
    ConcurrentChange,
    ConstraintBroken,
    DatabaseRefused,
    NotPermitted,
    StoreBusy,
    StoreDamaged,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnwritable,
)

REFUSAL = "casewright: "  # what the messages of our triggers begin with
# Another transaction wrote the event of this version, or the event of this id, first.
_SOMEBODY_WAS_FIRST = ("uq_audit_events_", "this version has its audit event already")

_SQLITE: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_READONLY: StoreUnwritable,
    sqlite3.SQLITE_PERM: StoreUnwritable,
    sqlite3.SQLITE_CANTOPEN: StoreUnwritable,
    sqlite3.SQLITE_IOERR: StoreUnavailable,
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
    sqlite3.SQLITE_NOTADB: StoreDamaged,
    sqlite3.SQLITE_AUTH: NotPermitted,
}
# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATE: dict[str, type[StoreError]] = {
    "40001": ConcurrentChange,  # serialization_failure
    "40P01": ConcurrentChange,  # deadlock_detected
    "55P03": StoreBusy,  # lock_not_available
    "53100": StoreFull,  # disk_full
    "53300": StoreBusy,  # too_many_connections
    "42501": NotPermitted,  # insufficient_privilege
    "25006": StoreUnwritable,  # read_only_sql_transaction: a standby
}
_SQLSTATE_CLASS: dict[str, type[StoreError]] = {
    "08": StoreUnavailable,  # connection exceptions
    "57": StoreUnavailable,  # operator intervention: shutdown, cannot connect now
    "58": StoreUnavailable,  # system error
    "XX": StoreDamaged,  # internal error: data_corrupted, index_corrupted
    "53": StoreUnavailable,  # insufficient resources
    "28": StoreDenied,  # invalid authorization
    "3D": StoreDenied,  # invalid catalog name
}


@contextmanager
def speaking_plainly() -> Iterator[None]:
    """Turn the errors of SQLAlchemy and the drivers into ours; let ours pass."""
    try:
        yield
    except StaleDataError as error:
        raise ConcurrentChange from error
    except PoolTimeout as error:
        raise StoreBusy("all connections to the database are in use") from error
    except DBAPIError as error:
        raise _plain(error) from error
    except StatementError as error:  # a column type refused a value before the driver saw it
        if isinstance(error.orig, StoreError):
            raise error.orig from None
        raise


@contextmanager
def while_connecting() -> Iterator[None]:
    """Turn what a driver raises while it connects into `StoreUnavailable`."""
    try:
        yield
    except SQLAlchemyError:
        raise
    except Exception as error:
        if isinstance(error, OSError) or type(error).__module__.startswith("asyncpg"):
            raise StoreUnavailable(f"the database cannot be reached: {error}") from error
        raise


def outcome_unknown(error: DBAPIError) -> bool:
    """Tell whether nobody knows if the commit took place: the connection broke, or the disk failed under it."""
    if _sqlite_code(error) == sqlite3.SQLITE_IOERR:
        return True
    state = _sqlstate(error)
    return error.connection_invalidated or (state is not None and state[:2] in {"08", "57"})


def _plain(error: DBAPIError) -> StoreError:
    words = _words(error)
    if any(name in words for name in _SOMEBODY_WAS_FIRST):
        return ConcurrentChange()
    if REFUSAL in words:
        return DatabaseRefused(words.split(REFUSAL, 1)[1].strip())
    if isinstance(error, IntegrityError):
        return ConstraintBroken(words)
    if kind := _kind(error):
        return kind(f"{(kind.__doc__ or '').strip()} ({words})")
    return StoreError(words)


def _kind(error: DBAPIError) -> type[StoreError] | None:
    if error.connection_invalidated:
        return StoreUnavailable
    if (code := _sqlite_code(error)) is not None:
        return _SQLITE.get(code)
    state = _sqlstate(error)
    return _SQLSTATE.get(state) or _SQLSTATE_CLASS.get(state[:2]) if state else None


def _sqlite_code(error: DBAPIError) -> int | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None  # the lowest byte of an extended code is its primary code


def _sqlstate(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def _words(error: DBAPIError) -> str:
    """Return the driver's message without the statement and its values, which may be secret."""
    words = str(error.orig).strip()
    return words.split(">: ", 1)[-1].splitlines()[0] if words else type(error.orig).__name__
