"""`casewright notify`: see what messages look like, and whether they arrive."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from case_store import find
from case_store.notices import hides_content
from console.call import Call, Here
from console.commands.notify_test import send_test
from console.errors import TemplatesRefused
from console.previewing import facts_for
from notifiers.catalogue import check, languages_for
from notifiers.render import CODE, HIDDEN, Rendered, strictly

app = App(name="notify", help="See what messages look like, and whether they arrive.")
app.command(send_test, name="test")


@app.command
async def preview(
    template: Annotated[str, Parameter(help="Which message: assigned, overdue, escalated, digest and so on.")],
    /,
    *,
    case: Annotated[str, Parameter(help="The case it is about.")],
    language: Annotated[str | None, Parameter(help="Such as en or de; else yours.")] = None,
    html: Annotated[Path | None, Parameter(help="Write the HTML part to this file.")] = None,
    call: Here,
) -> None:
    """Show a message as its reader gets it, with the facts of a case; nothing is sent.

    Templates of your own (in `templates` of the home) are looked at first: whatever is wrong with any of them is told.
    """
    own = call.settings.templates
    if wrong := list(check(own)):
        raise TemplatesRefused("\n".join(wrong))
    async with call.reading() as tx:
        person = await call.person(tx)
        about = await find.case(tx, case)
        facts = await facts_for(tx, about, person, call.settings.prefect_ui_url, call.now)
        shown = HIDDEN if hides_content(about) and template not in {CODE, HIDDEN} else template
        words = strictly(
            shown, {**facts, "about": template, "can_reply": _answers_are_read(call)}, language or person.language, own
        )
    _show(call, words, shown, language or person.language)
    if html is not None:
        html.write_text(words.html, encoding="utf-8")
        call.printer.say(f"the HTML is in {html}")


def _answers_are_read(call: Call) -> bool:
    return call.settings.imap_host is not None or call.settings.reply_spool is not None


def _show(call: Call, words: Rendered, template: str, language: str | None) -> None:
    say = call.printer.say
    say(f"{template}, looked for in: {', '.join(languages_for(language))}")
    say(f"\nSubject: {words.subject}\n")
    for line in words.text.splitlines():
        say(line)
    say(f"\nText message ({len(words.sms)} characters):\n{words.sms}")
