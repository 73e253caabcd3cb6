"""How an alert becomes a case: it is received, the SOPs say whether it is theirs, the first of them opens a case."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from case_store import alerts, cases
from case_store.actor import Actor
from case_store.alert_formats import Shape, parse
from case_store.blobs import Blobs
from case_store.models import Alert, Case
from case_store.store import Tx
from sop.conditions import evaluate
from sop.errors import ConditionFailed
from sop.loader import LoadedSop


@dataclass(frozen=True)
class TakenIn:
    """What became of one alert."""

    alert: Alert
    new: bool
    """False: it is a repeat of one that is on record."""
    case: Case | None
    """The case opened for it now."""
    matching: tuple[str, ...]
    """Keys of all SOPs that want it; the first one opened the case."""


async def take_in(
    tx: Tx,
    raw: bytes,
    shape: Shape,
    *,
    blobs: Blobs,
    sops: Iterable[LoadedSop],
    by: Actor,
    at: datetime,
) -> list[TakenIn]:
    """Store every alert in the document and open a case for each new one that some SOP wants.

    Args:
        tx: The transaction; all alerts of a document are taken in, or none.
        raw: The document as it came.
        shape: How to read it.
        blobs: Where its bytes are kept.
        sops: The SOPs that may open a case; none to store the alerts only.
        by: Who brought it.
        at: Now.

    Raises:
        AlertRefused: It cannot be read.
    """
    ordered = sorted(sops, key=lambda loaded: loaded.sop.key)
    taken = []
    for parsed in parse(raw, shape):
        alert, new = await alerts.receive(tx, parsed, raw, blobs, by=by, at=at)
        wanting = [loaded for loaded in ordered if wants(loaded, alert)]
        case = None
        if wanting and alert.case_id is None:
            case = await cases.open_case(tx, wanting[0], alert.title, alert=alert, by=by, at=at)
        taken.append(TakenIn(alert, new, case, tuple(loaded.sop.key for loaded in wanting)))
    return taken


def wants(loaded: LoadedSop, alert: Alert) -> bool:
    """Say whether an SOP's `match` is true of the alert; a field the alert does not have makes it false."""
    if loaded.sop.match is None:
        return False
    try:
        return evaluate(loaded.sop.match, {"alert": alerts.facts(alert)})
    except ConditionFailed:
        return False
