"""`casewright audit status`: how the log is doing."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from console.call import Here
from console.output import AsJson

if TYPE_CHECKING:
    from case_store.audit.status import StampStatus, WitnessStatus


async def status(*, as_json: AsJson = False, call: Here) -> int:
    """Say what waits to be sealed and for how long, what was signed last, and what others have confirmed.

    Exit codes: 0 all is well; 16 events wait for longer than 2 s, nothing was signed for two minutes, or something was
    signed in the future; 17 a witness has confirmed nothing for ten minutes. For a monitor:
    `casewright audit status --json`.
    """
    from case_store.audit import status as log_status
    from case_store.audit import verifier, witnesses

    configured = witnesses.parse_all(call.settings.witnesses)
    async with call.whole() as tx:
        found = await log_status.read(
            tx, configured, call.now, authority=call.settings.timestamp_url, every=call.settings.timestamp_every
        )
    faults, unwitnessed = found.faults(), found.unwitnessed()
    if as_json:
        call.printer.json({**asdict(found), "faults": faults, "unwitnessed": unwitnessed})
    else:
        call.printer.facts(
            {
                "waiting": f"{found.waiting} events, the oldest for {_seconds(found.delay)}",
                "signed": f"{found.size} events, {_seconds(found.age)} ago" if found.age is not None else "nothing yet",
                "key": found.key or "none yet",
            }
            | {f"witness {one.name}": _told(one) for one in found.witnesses}
            | ({f"stamped by {found.stamped.authority}": _told(found.stamped)} if found.stamped else {})
        )
        for fault in faults:
            call.printer.warn(
                f"{fault}\n  next: see that a relay runs (casewright up, or casewright relay), its log, and the clocks"
            )
        for name in unwitnessed:
            call.printer.warn(
                f"the witness {name} has confirmed nothing lately\n  next: see that it runs; the relay's log says more"
            )
        if found.stamped and found.stamped.is_late:
            call.printer.warn(
                f"{found.stamped.authority} has stamped nothing lately\n"
                "  next: see that it can be reached; the relay's log says more"
            )
    if faults:
        return verifier.CODES["stale"]
    return verifier.CODES["unwitnessed"] if unwitnessed else 0


def _told(one: "WitnessStatus | StampStatus") -> str:
    return f"{one.size} events, {_seconds(one.age)} ago" if one.age is not None else "nothing yet"


def _seconds(span: timedelta | None) -> str:
    return f"{(span or timedelta()).total_seconds():.1f} s"
