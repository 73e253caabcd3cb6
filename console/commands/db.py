"""`casewright db`: bring the database up to date, check that all guards are in force, restrain the program's role."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from console.call import Here
from console.output import AsJson

if TYPE_CHECKING:
    from case_store.settings import Settings

app = App(name="db", help="Bring the database up to date, check that all guards are in force, harden it.")


@app.command
async def upgrade(*, call: Here) -> None:
    """Make the tables, or change them to those of this version.

    On a hardened PostgreSQL, connect as the owner of the tables; the application role gets what this version needs.
    """
    from case_store import migrate

    url = call.settings.database_url
    before = await migrate.current(url)
    await migrate.upgrade(url)
    after = await migrate.current(url)
    call.printer.say(f"already at {after}" if before == after else f"from {before or 'nothing'} to {after}")


@app.command
async def check(*, as_json: AsJson = False, call: Here) -> int:
    """Check tables, triggers, roles and connections, and numbers that must agree.

    Ends with 1 when something is wrong. What could be stronger is said as advice and leaves the exit code at 0.
    """
    from case_store import enforcement

    found = await enforcement.check(call.settings.database_url)
    if as_json:
        call.printer.json({"ok": not found.problems, "problems": found.problems, "advice": found.advice})
        return 1 if found.problems else 0
    for problem in found.problems:
        call.printer.warn(f"wrong: {problem}")
    for advice in found.advice:
        call.printer.warn(f"could be stronger: {advice}")
    if not found.problems:
        call.printer.say("the database is as it should be")
    return 1 if found.problems else 0


@app.command
async def harden(
    *,
    application: Annotated[str, Parameter(help="The role that the program connects as; made if it is missing.")] = (
        "casewright_app"
    ),
    owner: Annotated[
        str | None, Parameter(help="Who shall own the tables; made if missing. Needs a superuser, once.")
    ] = None,
    ask_password: Annotated[bool, Parameter(help="Ask for the application role's password.")] = False,
    dry_run: Annotated[bool, Parameter(help="Only print the SQL.")] = False,
    call: Here,
) -> None:
    """Give PostgreSQL an application role that can do what the program needs, and nothing else.

    Connect as the owner of the tables, or as a superuser. The password of the application role is that of
    CASEWRIGHT_APPLICATION_PASSWORD, or is asked for with --ask-password; without either it stays as it is.
    Running it again changes nothing.
    """
    from case_store import roles

    password = call.settings.application_password
    if ask_password:
        from getpass import getpass

        from pydantic import SecretStr

        password = SecretStr(getpass(f"Password for {application}: "))
    url = call.settings.database_url
    steps = await roles.harden(url, roles.Wanted(application, owner, password), only_show=dry_run)
    if dry_run:
        call.printer.exactly("".join(f"{step.shown};\n" for step in steps))
        return
    for step in steps:
        call.printer.say(step.shown)
    call.printer.say(f"\ndone: {application} may do what the program needs, and nothing else. Next:")
    for line in _next_steps(call.settings, application, has_password=password is not None):
        call.printer.say(f"  {line}")


def _next_steps(settings: "Settings", application: str, *, has_password: bool) -> list[str]:
    from case_store.engines import parse_url

    url = parse_url(settings.database_url)
    for_all = url.set(drivername="postgresql", username=application, password=None)
    return [
        *([] if has_password else [rf"give {application} a password, if it has none: \password {application} in psql"]),
        f"for every process: CASEWRIGHT_DATABASE_URL={for_all.render_as_string(hide_password=True)}",
        "and CASEWRIGHT_DATABASE_PASSWORD with its password; start the processes again",
        "keep the owner's URL for casewright db upgrade alone, then run casewright db check as the application",
    ]
