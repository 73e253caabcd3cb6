"""The command ``casewright``: reads the words, calls one command, and ends with its exit code.

Exit codes: 0 done, 1 refused (the reason and the next step are on stderr), 2 wrong usage, 130 interrupted.
Command modules are named here as text and imported only when one of their commands is called: `--help` and `--version`
answer at once, and nothing here ever imports Prefect.
"""

import inspect
import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter

from console.call import Call
from console.errors import ExplainsItself

DONE, REFUSED, USAGE, INTERRUPTED = 0, 1, 2, 130


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("casewright")
    except PackageNotFoundError:
        return "unknown (not installed)"


app = App(
    name="casewright",
    help="Security alerts become cases; cases follow their SOP on Prefect; people decide; all of it is on record.",
    help_epilogue="Start with `casewright demo`.",
    version=_version,
    default_parameter=Parameter(negative="", show_default=False),
    help_format="markdown",
)
_EVERYWHERE = Group("Options of every command", sort_key=99)
app.meta.group_parameters = _EVERYWHERE
app.meta.suppress_keyboard_interrupt = False  # `run` answers it with an exit code
app["--help"].group = app["--version"].group = _EVERYWHERE

_RUN = Group("Run Casewright", sort_key=1)
_WORK = Group("Work on cases", sort_key=2)
_KEEP = Group("Look after it", sort_key=3)

_COMMANDS = (
    ("up", "run:up", _RUN, "Start everything on this machine: Prefect server, worker and relay."),
    ("demo", "run:demo", _RUN, "See a real-shaped alert become a case and go through its SOP."),
    ("worker", "engine:worker", _RUN, "Run the flows of cases, against a Prefect server that runs elsewhere."),
    ("relay", "engine:relay", _RUN, "Carry signals to Prefect, its states to the record, and messages to people."),
    ("web", "web:web", _RUN, "Serve the pages by which people answer without logging in."),
    ("deploy", "engine:deploy", _RUN, "Register one Prefect deployment for each SOP."),
    ("alert", "alert:app", _WORK, "Send alerts in, and look at them."),
    ("case", "case:app", _WORK, "Open cases, look at them, add to them, end them."),
    ("times", "times:times", _WORK, "See how long cases and tasks take, by SOP and severity."),
    ("on-call", "times:on_call", _WORK, "See who is on call."),
    ("task", "task:app", _WORK, "Decide tasks: complete, approve, reject, skip, retry, reassign, acknowledge."),
    ("sop", "sop:app", _KEEP, "List, read and check SOPs."),
    ("people", "people:app", _KEEP, "Bring people in, and list them."),
    ("person", "person:app", _KEEP, "Say who is away; erase somebody's personal values, or hold them for a court."),
    ("outbox", "outbox:app", _KEEP, "Look at messages to people, send one again, take one back."),
    ("link", "link:app", _KEEP, "Look at the links by which people answer, take them back."),
    ("reply", "reply:app", _KEEP, "See what people sent back by mail and text, take a mail by hand."),
    ("notify", "notify:app", _KEEP, "See what messages look like, and whether they arrive."),
    ("retention", "retention:app", _KEEP, "Erase what is personal in cases that ended long ago."),
    ("audit", "audit:app", _KEEP, "Read and export the record."),
    ("witness", "witness:witness", _KEEP, "Confirm for others that their log only grew; on a machine of your own."),
    ("db", "db:app", _KEEP, "Bring the database up to date, or check that it is."),
)
for _position, (_name, _where, _group, _help) in enumerate(_COMMANDS):
    app.command(f"console.commands.{_where}", name=_name, group=_group, help=_help, sort_key=_position)


@app.meta.default
def _launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    as_: Annotated[
        str | None,
        Parameter(name="--as", env_var="CASEWRIGHT_PERSON", help="Who acts: handle or e-mail. Else your login name."),
    ] = None,
    debug: Annotated[bool, Parameter(negative="", show_default=False, help="Show the traceback of an error.")] = False,
) -> int:
    call = Call(person_name=as_ or _login_name(), debug=debug)
    try:
        command, bound, for_us = app.parse_args(words, exit_on_error=False, print_error=True)
        result = command(*bound.args, **bound.kwargs, **dict.fromkeys(for_us, call))
        if inspect.iscoroutine(result):
            import asyncio

            result = asyncio.run(result)
    except (CycloptsError, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the one place where every error ends as words and an exit code
        if debug:
            import traceback

            traceback.print_exc()
        call.printer.warn(_explain(error))
        return REFUSED
    return result if isinstance(result, int) else DONE


def _login_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except OSError:  # no such user id on this machine (some containers)
        return ""


def _explain(error: Exception) -> str:
    if isinstance(error, ExplainsItself):
        return f"refused: {error.diagnostics()}"
    return (
        f"failed: {type(error).__name__}: {error}\n"
        "  next: run the command again with --debug; if it is not your doing, report it with that output."
    )


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        result = app.meta(list(words), exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has had enough
        sys.stdout = None
        return DONE
    return result if isinstance(result, int) else DONE


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
