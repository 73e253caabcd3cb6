"""The SOP document a case is pinned to: kept word for word, read back as the case was opened with it."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from case_store.actor import Actor
from case_store.errors import StoreDamaged
from case_store.models import Case, SopDocument
from case_store.refusals import NotFound
from case_store.sop_changes import facts_of
from case_store.store import Tx
from case_store.wording import case_label
from sop.loader import LoadedSop, loads

_KEPT: Final = 128
# The digest is that of the text, and the same text always gives the same SOP: remembering it changes nothing.
_READ: Final[dict[str, LoadedSop]] = {}


async def pin(tx: Tx, loaded: LoadedSop, *, by: Actor, at: datetime) -> SopDocument:
    """Keep the document, once for all cases that run it. The caller holds the case numbers meanwhile."""
    document = await tx.session.get(SopDocument, loaded.digest)
    if document is None:
        document = SopDocument(digest=loaded.digest, key=loaded.sop.key, version=loaded.sop.version, text=loaded.text)
        tx.session.add(document)
        tx.record("sop.pinned", None, by=by, at=at, facts=facts_of(loaded))
    return document


async def pinned(tx: Tx, case: Case) -> LoadedSop:
    """Return the SOP that the case was opened with, whatever the library says today.

    Raises:
        NotFound: The document is not on record.
        StoreDamaged: Somebody changed its text: it is not what its digest says.
    """
    if (known := _READ.get(case.sop_digest)) is not None:
        return known
    document = await tx.session.get(SopDocument, case.sop_digest)
    if document is None:
        raise NotFound(f"the SOP {case.sop_digest} of {case_label(case)} is not on record")
    if sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest() != document.digest:
        raise StoreDamaged(
            f"the text of the SOP {document.key} of {case_label(case)} is not what its digest says",
            next_step="stop the engine, find out who changed the database, and see: casewright audit verify --state",
        )
    if len(_READ) >= _KEPT:
        _READ.clear()
    _READ[case.sop_digest] = loads(document.text, f"{document.key} (version {document.version})")
    return _READ[case.sop_digest]
