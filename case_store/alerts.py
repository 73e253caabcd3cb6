"""Alerts as they come in: each once, its untouched bytes kept; the same again is a repeat on record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from case_store import evidence as evidences
from case_store import find
from case_store.actor import Actor
from case_store.alert_formats import ParsedAlert
from case_store.audit.commitments import pseudonym
from case_store.blobs import Blobs, Stored
from case_store.holds import hold
from case_store.models import Alert, Evidence
from case_store.store import Tx


async def receive(
    tx: Tx, parsed: ParsedAlert, raw: bytes, blobs: Blobs, *, by: Actor, at: datetime
) -> tuple[Alert, bool]:
    """Take in an alert; its source and reference decide whether it is known.

    Args:
        tx: The transaction.
        parsed: What was read from it.
        raw: The bytes as they came, kept as evidence.
        blobs: Where the bytes are kept.
        by: Who brought it.
        at: Now.

    Returns:
        The alert, and whether it is new. A repeat is counted, and its bytes kept if they are others.
    """
    stored = await blobs.put(raw)
    await hold(tx, f"alert {parsed.source} {parsed.source_ref}")
    known = await find.alert_of(tx, parsed.source, parsed.source_ref, lock=True)
    if known is not None:
        await _repeat(tx, known, stored, blobs, by=by, at=at)
        return known, False
    alert = Alert(
        source=parsed.source,
        source_ref=parsed.source_ref,
        title=parsed.title,
        severity=parsed.severity,
        severity_original=parsed.severity_original,
        occurred_at=parsed.occurred_at,
        received_at=at,
        link=parsed.link,
        fields=dict(parsed.fields),
    )
    tx.session.add(alert)
    tx.record("alert.received", alert, by=by, at=at)
    await tx.flush()
    raw_evidence = await _keep_raw(tx, alert, stored, blobs, by=by, at=at)
    alert.evidence_id = raw_evidence.id
    tx.record("alert.raw_kept", alert, by=by, at=at, facts={"sha256": stored.sha256})
    await tx.flush()
    return alert, True


async def _repeat(tx: Tx, alert: Alert, stored: Stored, blobs: Blobs, *, by: Actor, at: datetime) -> None:
    alert.repeats += 1
    tx.record("alert.repeated", alert, by=by, at=at, facts={"sha256": stored.sha256})
    await tx.flush()
    kept = await tx.session.scalars(select(Evidence).where(Evidence.alert_id == alert.id))
    if stored.sha256 not in {one.sha256 for one in kept if one.name != pseudonym(one.id)}:  # else they were erased
        await _keep_raw(tx, alert, stored, blobs, by=by, at=at)


async def _keep_raw(tx: Tx, alert: Alert, stored: Stored, blobs: Blobs, *, by: Actor, at: datetime) -> Evidence:
    return await evidences.attach(
        tx,
        await find.case(tx, alert.case_id) if alert.case_id else None,
        blobs,
        name=raw_name(alert),
        content=stored,
        claimed_type="application/json",
        alert=alert,
        by=by,
        at=at,
    )


def raw_name(alert: Alert) -> str:
    """Return the name under which an alert's bytes are shown."""
    return "-".join(("alert", _slug(alert.source), _slug(alert.source_ref))) + ".json"


def facts(alert: Alert) -> Mapping[str, object]:
    """Return an alert as conditions see it: `alert.title`, `alert.fields.rule.id`, `alert.raw` (the evidence's id)."""
    return {
        "source": alert.source,
        "source_ref": alert.source_ref,
        "title": alert.title,
        "severity": alert.severity,
        "severity_original": alert.severity_original,
        "occurred_at": alert.occurred_at.isoformat() if alert.occurred_at else None,
        "received_at": alert.received_at.isoformat(),
        "link": alert.link,
        "repeats": alert.repeats,
        "raw": alert.evidence_id,
        "fields": alert.fields,
    }


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "x"
