"""`casewright notify`: see what messages look like, and whether they arrive."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from case_store import find
from case_store.notices import hides_content
from console.call import Call, Here
from console.commands.notify_test import send_test
from console.errors import FileRefused, TemplatesRefused
from console.previewing import EXAMPLE, facts_for
from notifiers.catalogue import check, languages_for
from notifiers.render import CODE, HIDDEN, Rendered, strictly

_MARKER = "[C{number}-7F3A]"
"""What ends a text; its four digits are other ones in each message."""

app = App(name="notify", help="See what messages look like, and whether they arrive.")
app.command(send_test, name="test")


@app.command
async def preview(
    template: Annotated[str, Parameter(help="Which message: assigned, overdue, escalated, digest and so on.")],
    /,
    *,
    case: Annotated[str | None, Parameter(help="The case it is about; without one it is about an example.")] = None,
    language: Annotated[str | None, Parameter(help="Such as en or de; else yours.")] = None,
    html: Annotated[Path | None, Parameter(help="Write the HTML part to this file.")] = None,
    call: Here,
) -> None:
    """Show a message as its reader gets it, with the facts of a case or an example; nothing is sent.

    Templates of your own (in `templates` of the home) are looked at first: whatever is wrong with any of them is told.
    A link by which its reader could decide is shown as long as it would be, and decides nothing.
    """
    own = call.settings.templates
    if wrong := list(check(own)):
        raise TemplatesRefused("\n".join(wrong))
    async with call.reading() as tx:
        person = await call.person(tx)
        about = await find.case(tx, case) if case else None
        facts = await facts_for(tx, about, person, template, call.settings, call.now)
        hidden = about is not None and hides_content(about) and template not in {CODE, HIDDEN}
        shown = HIDDEN if hidden else template
        facts |= {"about": "assigned" if template == HIDDEN else template, "can_reply": _answers_are_read(call)}
        words = strictly(shown, facts, language or person.language, own)
    if html is not None:
        _write(html, words.html)
    _show(call, words, shown, language or person.language, about.number if about else EXAMPLE)
    if html is not None:
        call.printer.say(f"the HTML is in {html}")


def _answers_are_read(call: Call) -> bool:
    return call.settings.imap_host is not None or call.settings.reply_spool is not None


def _write(file: Path, html: str) -> None:
    try:
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        step = "Name a file that you may write, in a folder that is there; nothing was shown."
        raise FileRefused(f"{file}: {error.strerror or error}", next_step=step) from error


def _show(call: Call, words: Rendered, template: str, language: str | None, number: int) -> None:
    say = call.printer.say
    say(f"{template}, looked for in: {', '.join(languages_for(language))}")
    say(f"\nSubject: {words.subject}\n")
    for line in words.text.splitlines():
        say(line)
    text = f"{words.sms} {_MARKER.format(number=number)}"
    say(f"\nText message ({len(text)} characters, with its marker):\n{text}")
