"""`casewright notify test`: hand over to the flows side, which knows how the channels are set up."""

from typing import Annotated, NoReturn

from cyclopts import Parameter

from console.call import Here
from console.commands.engine import become


def send_test(
    person: Annotated[str, Parameter(help="Handle or e-mail address.")],
    /,
    *,
    channel: Annotated[
        str | None,
        Parameter(help="email, sms, pagerduty, slack, teams or apprise:NAME; default: the first that reaches them."),
    ] = None,
    anyway: Annotated[bool, Parameter(help="Also by a channel by which they want nothing.", negative=())] = False,
    call: Here,
) -> NoReturn:
    """Send somebody a test message and tell each step: settings, connection, encryption, login, what was answered.

    It really goes out, at once and not through the outbox, and is on record. Ends with 0 when the provider took it.
    """
    options = [*(("--channel", channel) if channel else ()), *(("--anyway",) if anyway else ())]
    become(call, "notify-test", person, "--by", call.person_name, *options)
