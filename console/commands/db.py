"""`casewright db`: bring the database up to date, or check that it is."""

from cyclopts import App

from case_store import migrate
from console.call import Here
from console.output import AsJson

app = App(name="db", help="Bring the database up to date, or check that it is.")


@app.command
async def upgrade(*, call: Here) -> None:
    """Make the tables, or change them to those of this version."""
    url = call.settings.database_url
    before = await migrate.current(url)
    await migrate.upgrade(url)
    after = await migrate.current(url)
    call.printer.say(f"already at {after}" if before == after else f"from {before or 'nothing'} to {after}")


@app.command
async def check(*, as_json: AsJson = False, call: Here) -> int:
    """Check tables, triggers and file; ends with 1 when something is wrong."""
    problems = await migrate.check(call.settings.database_url)
    if as_json:
        call.printer.json({"ok": not problems, "problems": problems})
    for problem in problems:
        call.printer.warn(str(problem))
    if not problems and not as_json:
        call.printer.say("the database is as it should be")
    return 1 if problems else 0
