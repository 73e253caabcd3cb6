"""`casewright task`: decide tasks."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import App, Parameter

from case_store import find, pausing, tasks, views
from case_store.actor import Actor
from case_store.models import Task
from case_store.store import Tx
from case_store.views import TaskRow
from console import naming, signing
from console.call import Call, Here
from console.output import AsJson, Column
from console.pages import TaskPage, show_task, state_style

app = App(name="task", help="Decide tasks. A task is named CASE/KEY, such as 12/confirm, or by its id.")

VIA = "cli"
"""The channel that decisions made here are recorded with."""

Name = Annotated[str, Parameter(help="CASE/KEY, such as 12/confirm, or the task's id.")]
Note = Annotated[str | None, Parameter(help="A note that goes with the decision; some SOPs demand one.")]
TakeOver = Annotated[bool, Parameter(help="The task is not yours: take it over first. That is recorded.")]

Code = Annotated[str | None, Parameter(help="The code that `task code` sent you, where the SOP wants one.")]
Seen = Annotated[
    str | None, Parameter(help="The SHA-256 of the parameters as `task show` gives it: refused if they are others now.")
]

_COLUMNS = [
    Column[TaskRow]("Task", lambda row: f"{row.case_number}/{row.key}"),
    Column[TaskRow]("Title", lambda row: row.title, wide=True),
    Column[TaskRow]("State", lambda row: row.state.replace("_", " "), style=lambda row: state_style(row.state)),
    Column[TaskRow]("Owner", lambda row: row.owner),
    Column[TaskRow]("Due", lambda row: row.due_at, whole=True),
    Column[TaskRow]("Case", lambda row: row.case_title),
]


@app.command(name="list")
async def list_(
    *,
    state: Annotated[
        str | None, Parameter(help="Only tasks in this state; `all` for every state.", show_default=True)
    ] = "open",
    owner: Annotated[str | None, Parameter(help="Only tasks of this person, or of a role they have.")] = None,
    mine: Annotated[bool, Parameter(help="Only your own.")] = False,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """List tasks that wait for people, the most urgent first."""
    async with call.reading() as tx:
        person = await call.person(tx) if mine else await find.person(tx, owner) if owner else None
        rows = await views.tasks(tx, owner=person, state=None if state == "all" else state)
    call.printer.listing("tasks", rows, _COLUMNS, as_json=as_json, empty="no such tasks")


@app.command
async def show(task: Name, /, *, as_json: AsJson = False, call: Here) -> None:
    """Show one task: what to do, its form, and what was decided."""
    async with call.reading() as tx:
        page = await TaskPage.of(tx, await naming.task(tx, task))
    if as_json:
        call.printer.json(page.document())
    else:
        show_task(call.printer, page)


@app.command
async def complete(
    task: Name,
    /,
    *,
    set_: Annotated[
        tuple[str, ...], Parameter(name="--set", help="One field of the form, as field=value; once for each field.")
    ] = (),
    note: Note = None,
    take_over: TakeOver = False,
    call: Here,
) -> None:
    """Close a task as done, with the answers to its form."""
    answers = naming.values(set_)
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        done = await tasks.complete(
            tx,
            found,
            form_values=answers,
            note=note,
            take_over=take_over,
            signed_by=person,
            via=VIA,
            by=Actor.person(person),
            at=call.now,
        )
        said = await _said(tx, done)
    call.printer.say(said)


@app.command
async def approve(
    task: Name,
    /,
    *,
    note: Note = None,
    take_over: TakeOver = False,
    code: Code = None,
    seen: Seen = None,
    call: Here,
) -> None:
    """Approve what an approval task asks for; its action then runs with exactly these parameters."""
    await _sign(call, tasks.approve, task, code=code, note=note, take_over=take_over, seen=seen)


@app.command
async def reject(
    task: Name,
    /,
    *,
    note: Note = None,
    take_over: TakeOver = False,
    code: Code = None,
    seen: Seen = None,
    call: Here,
) -> None:
    """Refuse what an approval task asks for."""
    await _sign(call, tasks.reject, task, code=code, note=note, take_over=take_over, seen=seen)


@app.command
async def skip(
    task: Name,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why.")],
    take_over: TakeOver = False,
    code: Code = None,
    call: Here,
) -> None:
    """Leave a task out, with a reason; refused where the SOP makes it mandatory."""
    await _sign(call, tasks.skip, task, code=code, reason=reason, take_over=take_over)


@app.command
async def retry(
    task: Name,
    /,
    *,
    note: Note = None,
    take_over: TakeOver = False,
    call: Here,
) -> None:
    """Let an action that failed, or whose outcome nobody knows, run again."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        done = await tasks.retry(
            tx, found, note=note, take_over=take_over, signed_by=person, via=VIA, by=Actor.person(person), at=call.now
        )
        said = await _said(tx, done)
    call.printer.say(said)


@app.command
async def code(task: Name, /, *, call: Here) -> None:
    """Have a code to sign with sent to you as a text message; it is good for ten minutes and once."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        said = await signing.send(tx, found, person, at=call.now)
    call.printer.say(said)


@app.command
async def renew(task: Name, /, *, call: Here) -> None:
    """Determine an approval's parameters from the case as it is now; others void the approvals that were given."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        changed = await tasks.renew(tx, found, by=Actor.person(person), at=call.now)
        name = await _name(tx, found)
    said = "its parameters have changed; it is asked again, and what was approved is void"
    call.printer.say(f"{name}: {said if changed else 'its parameters are the same'}")


@app.command
async def ack(task: Name, /, *, call: Here) -> None:
    """Say that you take care of a task: nobody else is told that it is late. It still has to be decided."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        new = await tasks.acknowledge(tx, found, person, via=VIA, by=Actor.person(person), at=call.now)
        name = await _name(tx, found)
    call.printer.say(f"{name}: you take care of it" if new else f"{name}: somebody takes care of it already")


@app.command
async def pause(task: Name, /, *, reason: Annotated[str, Parameter(help="What it waits for.")], call: Here) -> None:
    """Let the clock of a task stand still: it does not get late, and may be decided all the same."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        new = await pausing.pause_task(tx, found, reason, by=Actor.person(person), at=call.now)
        name = await _name(tx, found)
    call.printer.say(f"the clock of {name} {'stands' if new else 'stood already'} still")


@app.command
async def resume(task: Name, /, *, call: Here) -> None:
    """Let the clock of a paused task go on; what was spent before counts."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        new = await pausing.resume_task(tx, found, by=Actor.person(person), at=call.now)
        name = await _name(tx, found)
    call.printer.say(f"the clock of {name} {'goes on' if new else 'ran already'}")


@app.command
async def reassign(
    task: Name,
    /,
    *,
    to: Annotated[str, Parameter(help="Handle or e-mail of the new owner.")],
    call: Here,
) -> None:
    """Give a task to somebody else, who is told."""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, task)
        owner = await find.person(tx, to)
        done = await tasks.reassign(tx, found, owner, by=Actor.person(person), at=call.now)
        said = f"{await _name(tx, done)} now belongs to {owner.handle}"
    call.printer.say(said)


async def _sign(
    call: Call, verb: Callable[..., Awaitable[Task]], name: str, *, code: str | None, **given: str | bool | None
) -> None:
    """Decide what may need a code; that a code was wrong is on record with the refusal."""
    said = ""
    async with call.writing() as (tx, person):
        found = await naming.task(tx, name)
        refusal = await signing.check(tx, found, person, code, at=call.now)
        if refusal is None:
            done = await verb(tx, found, **given, signed_by=person, via=VIA, by=Actor.person(person), at=call.now)
            said = await _said(tx, done)
    if refusal is not None:
        raise refusal
    call.printer.say(said)


async def _said(tx: Tx, task: Task) -> str:
    name = await _name(tx, task)
    if task.kind == "approval" and task.state == "open":
        return f"{name}: approved by {len(await tasks.given(tx, task))}; it needs others too"
    if task.state == "waiting":
        return f"{name}: decided; its action runs next"
    return f"{name} is {task.state.replace('_', ' ')}"


async def _name(tx: Tx, task: Task) -> str:
    case = await find.case(tx, task.case_id)
    return f"{case.number}/{task.key}"
