"""`casewright up` and `casewright demo`: everything on this machine."""

from typing import Annotated

from cyclopts import Parameter

from console.call import Here
from console.numbers import Port

PrefectPort = Annotated[
    Port, Parameter(help="Where the Prefect server listens; 0 takes any free port.", show_default=True)
]


async def up(*, port: PrefectPort = 4200, call: Here) -> int:
    """Start everything on this machine: Prefect server, worker and relay.

    Data, logs and databases go under CASEWRIGHT_HOME (default ./var). Ctrl-C stops all of it.
    """
    from console.up import up as run_up

    return await run_up(call.settings.home, port, call.printer.out)


async def demo(
    *,
    once: Annotated[bool, Parameter(help="Answer the waiting tasks too, check the record, and end.")] = False,
    port: PrefectPort = 0,
    call: Here,
) -> int:
    """See a real-shaped alert become a case and go through its SOP.

    A Wazuh alert about a brute-force attack on SSH comes in, a case is opened, automated tasks run, and the first tasks
    for people wait in the Prefect UI; where to click is printed.
    """
    from console.demo.run import demo as run_demo

    return await run_demo(call.settings, once=once, port=port, printer=call.printer, now=lambda: call.now)
