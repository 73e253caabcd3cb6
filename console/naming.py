"""How people name things on the command line."""

from collections.abc import Iterable

from case_store import find
from case_store.models import Task
from case_store.store import Tx
from console.errors import BadTaskName, BadValue


async def task(tx: Tx, name: str) -> Task:
    """Find a task by `12/confirm` (case number and the task's key) or by its id.

    Raises:
        BadTaskName: The name has neither form.
        NotFound: There is no such case or task.
    """
    number, slash, key = name.partition("/")
    if not slash:
        if name.count("-") != 4:  # noqa: PLR2004 - an id is a UUID
            raise BadTaskName(f"{name!r} names no task: it is CASE/KEY, such as 12/confirm, or an id")
        return await find.task(tx, name)
    if not number or not key:
        raise BadTaskName(f"{name!r} names no task: it is CASE/KEY, such as 12/confirm, or an id")
    return await find.task_of(tx, await find.case(tx, number), key)


def values(pairs: Iterable[str]) -> dict[str, object]:
    """Read `field=value` pairs; the field's type is applied by the form later.

    Raises:
        BadValue: A pair has no `=`, or a field is given twice.
    """
    read: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise BadValue(f"{pair!r} is not field=value")
        if name.strip() in read:
            raise BadValue(
                f"{name.strip()!r} is set twice",
                next_step="Set it once; several choices are separated by commas: --set kinds=a,b.",
            )
        read[name.strip()] = value
    return read
