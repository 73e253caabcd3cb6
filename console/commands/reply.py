"""`casewright reply`: see what came back by mail and text, how the mailbox fares, take a mail by hand."""

from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

from case_store import find
from case_store.views.replies import MailboxRow, ReplyRow, mailboxes, replies
from console.call import Here
from console.commands.engine import become
from console.output import AsJson, Column

app = App(name="reply", help="See what people sent back by mail and text, and take a mail by hand.")

_BAD = {"refused": "red"}
_COLUMNS = [
    Column[ReplyRow]("At", lambda row: row.at, whole=True),
    Column[ReplyRow]("By", lambda row: row.channel),
    Column[ReplyRow]("Case", lambda row: row.case_number, right=True),
    Column[ReplyRow]("Task", lambda row: row.task),
    Column[ReplyRow]("From", lambda row: row.person),
    Column[ReplyRow]("Became", lambda row: row.outcome, style=lambda row: _BAD.get(row.outcome, "")),
    Column[ReplyRow]("Why", lambda row: row.why),
]
_MAILBOXES = [
    Column[MailboxRow]("Mailbox", lambda row: row.name),
    Column[MailboxRow]("Read last", lambda row: row.last_ok_at, whole=True),
    Column[MailboxRow](
        "Failures", lambda row: row.failures, right=True, style=lambda row: "red" if row.failures else ""
    ),
    Column[MailboxRow]("Since", lambda row: row.failed_at, whole=True),
    Column[MailboxRow]("Why", lambda row: row.error),
]


@app.command(name="list")
async def list_(
    *,
    case: Annotated[str | None, Parameter(help="Only what is about this case.")] = None,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """List what came back and what became of it, the newest first; its words are in the notes of the case."""
    async with call.reading() as tx:
        about = await find.case(tx, case) if case is not None else None
        rows = await replies(tx, case=about)
    call.printer.listing("replies", rows, _COLUMNS, as_json=as_json, empty="nothing came back")


@app.command
async def mailbox(*, as_json: AsJson = False, call: Here) -> None:
    """Say when the mailbox of replies was read last, and what keeps it from being read."""
    async with call.reading() as tx:
        rows = await mailboxes(tx)
    call.printer.listing("mailboxes", rows, _MAILBOXES, as_json=as_json, empty="no mailbox was read so far")


@app.command
def take(file: Annotated[Path, Parameter(help="One mail as it came (.eml).")], /, *, call: Here) -> NoReturn:
    """Take the mail in a file as if it had come to the mailbox; one that was taken before changes nothing.

    Ends with 1 when it is refused.
    """
    become(call, "reply-take", str(file.absolute()), "--by", call.person_name)
