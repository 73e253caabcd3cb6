"""The people who own and decide, as an installation lists them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select

from case_store import contacts, texts
from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import Person
from case_store.refusals import PeopleRefused, TextRequired
from case_store.store import Tx
from sop.owners import parse_owner

COLUMNS: Final = ("handle", "name", "email", "phone", "manager", "roles", "time_zone", "language")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list of people; `values` are as they were written."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, by handle."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One person, checked."""

    line: int
    handle: str
    name: str
    email: str | None
    phone: str | None
    manager: str | None
    roles: tuple[str, ...]
    time_zone: str | None
    language: str | None


def parse_csv(text: str) -> list[Row]:
    """Read a list of people: a header line with `handle` and `name` at least, several roles separated by `;`.

    Raises:
        PeopleRefused: It has no such header, unknown columns, or lines that do not fit it.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        problems = list(_wrong_header(columns))
        rows = [] if problems else list(_rows(reader, columns, problems))
    except csv.Error as error:
        raise PeopleRefused([f"line {max(reader.line_num, 1)}: {error}"]) from None
    if problems:
        raise PeopleRefused(problems)
    return rows


def _wrong_header(columns: Sequence[str]) -> Iterator[str]:
    yield from (f"line 1: there is no column {name!r}" for name in ("handle", "name") if name not in columns)
    for number, column in enumerate(columns):
        if column not in COLUMNS:
            yield f"line 1: unknown column {column[:80]!r}; known are {', '.join(COLUMNS)}"
        elif column in columns[:number]:
            yield f"line 1: the column {column!r} is there twice"


def _rows(reader: Iterator[list[str]], columns: Sequence[str], problems: list[str]) -> Iterator[Row]:
    """Yield the rows below the header; a line may hold fewer fields than there are columns, never more."""
    for fields in reader:
        line: int = reader.line_num  # type: ignore[attr-defined]  # a csv.reader has it; its type has no name
        if len(fields) > len(columns):
            problems.append(f"line {line}: more fields than the header has columns")
        if fields:
            yield Row(line, dict.fromkeys(columns, "") | dict(zip(columns, map(str.strip, fields), strict=False)))


async def import_(tx: Tx, rows: Sequence[Row], roles_known: AbstractSet[str], *, by: Actor, at: datetime) -> Imported:
    """Add or change people, by handle. Who is not in the list stays as they are.

    Args:
        tx: The transaction.
        rows: The list; `parse_csv` reads one.
        roles_known: The roles that SOPs may name.
        by: Who imports.
        at: Now.

    Raises:
        PeopleRefused: With every problem; nothing is imported then.
    """
    await hold(tx, "people")
    known = {person.handle: person for person in await tx.session.scalars(select(Person))}
    problems: list[str] = []
    entries = [entry for row in rows if (entry := _checked(row, roles_known, problems)) is not None]
    problems += _problems_together(entries, known)
    if problems:
        raise PeopleRefused(problems)
    people = known | {entry.handle: Person(handle=entry.handle) for entry in entries if entry.handle not in known}
    done: dict[str, list[str]] = {"new": [], "changed": [], "unchanged": []}
    for entry in entries:
        person = people[entry.handle]
        outcome = "new" if entry.handle not in known else "changed" if _differs(person, entry, people) else "unchanged"
        done[outcome].append(entry.handle)
        if outcome != "unchanged":
            _apply(person, entry, people)
            tx.session.add(person)
            tx.record("person.added" if outcome == "new" else "person.changed", person, by=by, at=at)
    await tx.flush()
    return Imported(*(tuple(done[outcome]) for outcome in ("new", "changed", "unchanged")))


def _checked(row: Row, roles_known: AbstractSet[str], problems: list[str]) -> _Entry | None:
    """Return the person of a row, or None after noting what is wrong with it."""
    get = row.values.get
    found: list[str] = []
    roles = tuple(sorted({role.strip() for role in get("roles", "").split(";") if role.strip()}))
    entry = _Entry(
        line=row.line,
        handle=_handle(get("handle", ""), found),
        name=_name(get("name", ""), found),
        email=_email(get("email", ""), found),
        phone=_phone(get("phone", ""), found),
        manager=get("manager") or None,
        roles=roles,
        time_zone=_time_zone(get("time_zone", ""), found),
        language=_language(get("language", ""), found),
    )
    known = ", ".join(sorted(roles_known)) or "none"
    found += [f"the role {role!r} is in no roles.yaml; known are {known}" for role in roles if role not in roles_known]
    problems += [f"line {row.line}: {problem}" for problem in found]
    return None if found else entry


def _handle(text: str, found: list[str]) -> str:
    try:
        parse_owner(f"user:{text}")
    except ValueError:
        found.append(f"the handle {text[:80]!r} must be letters, digits and . _ @ - (at most 64), as SOPs name people")
    return text


def _name(text: str, found: list[str]) -> str:
    try:
        return texts.title(text)[:200]
    except TextRequired:
        found.append("the name is empty")
        return ""


def _email(text: str, found: list[str]) -> str | None:
    if not text:
        return None
    try:
        # No look-up, and domains that exist inside an organisation only are fine: whether mail arrives shows later.
        return validate_email(text, check_deliverability=False, globally_deliverable=False).normalized
    except EmailNotValidError as error:
        found.append(f"the e-mail address {text[:80]!r} cannot be used: {error}")
        return None


def _phone(text: str, found: list[str]) -> str | None:
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, None)
        if text.startswith("+") and phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        pass
    found.append(f"the phone number {text[:40]!r} cannot be used: write it with its country, such as +4930901820")
    return None


def _time_zone(text: str, found: list[str]) -> str | None:
    if not text:
        return None
    try:
        return ZoneInfo(text).key
    except (ValueError, OSError, KeyError):  # a path, a folder, a name that is not there
        found.append(f"the time zone {text[:60]!r} is not known; write it like Europe/Berlin")
        return None


def _language(text: str, found: list[str]) -> str | None:
    if not text or _LANGUAGE.fullmatch(text):
        return text or None
    found.append(f"the language {text[:20]!r} cannot be used; write it like en, de or de-CH")
    return None


def _problems_together(entries: Sequence[_Entry], known: Mapping[str, Person]) -> Iterator[str]:
    """Yield what is wrong between the lines: handles and addresses given twice, managers nobody is, circles."""
    yield from _twice(entries)
    yield from _address_of_another(entries, known)
    handles = {person.id: person.handle for person in known.values()}
    managers = {p.handle: handles[p.manager_id] for p in known.values() if p.manager_id in handles}
    everybody = known.keys() | {entry.handle for entry in entries}
    for entry in entries:
        managers.pop(entry.handle, None)
        if entry.manager in everybody:
            managers[entry.handle] = entry.manager
        elif entry.manager is not None:
            yield f"line {entry.line}: the manager {entry.manager!r} is neither in this list nor on record"
    for entry in entries:
        if entry.handle in (chain := _chain(entry.handle, managers)):
            yield f"line {entry.line}: {entry.handle} would be their own manager, through {' > '.join(chain)}"


def _twice(entries: Sequence[_Entry]) -> Iterator[str]:
    handles: dict[str, int] = {}
    mails: dict[str, int] = {}
    for entry in entries:
        if (first := handles.setdefault(entry.handle, entry.line)) != entry.line:
            yield f"line {entry.line}: {entry.handle} is already in line {first}"
        if entry.email and (first := mails.setdefault(entry.email.lower(), entry.line)) != entry.line:
            yield f"line {entry.line}: the e-mail address {entry.email} is already in line {first}"


def _address_of_another(entries: Sequence[_Entry], known: Mapping[str, Person]) -> Iterator[str]:
    """Yield addresses that somebody outside the list has: people are found by address, so it must name one person."""
    listed = {entry.handle for entry in entries}
    taken = {one.email.lower(): one.handle for one in known.values() if one.email and one.handle not in listed}
    for entry in entries:
        if entry.email and (other := taken.get(entry.email.lower())):
            yield f"line {entry.line}: the e-mail address {entry.email} is already that of {other}"


def _chain(handle: str, managers: Mapping[str, str]) -> list[str]:
    chain: list[str] = []
    above = managers.get(handle)
    while above is not None and above not in chain:
        chain.append(above)
        above = managers.get(above)
    return chain


def _differs(person: Person, entry: _Entry, people: Mapping[str, Person]) -> bool:
    now = (person.name, person.email, person.phone, person.manager_id, tuple(person.roles), person.time_zone)
    new = (entry.name, entry.email, entry.phone, _manager_id(entry, people), entry.roles, entry.time_zone)
    return (*now, person.language) != (*new, entry.language)


def _apply(person: Person, entry: _Entry, people: Mapping[str, Person]) -> None:
    contacts.forget_old_addresses(person, entry.email, entry.phone)
    person.name, person.email, person.phone = entry.name, entry.email, entry.phone
    person.manager_id, person.roles = _manager_id(entry, people), list(entry.roles)
    person.time_zone, person.language = entry.time_zone, entry.language


def _manager_id(entry: _Entry, people: Mapping[str, Person]) -> str | None:
    return people[entry.manager].id if entry.manager else None
