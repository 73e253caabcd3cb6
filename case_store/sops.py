"""The SOP document a case is pinned to: kept word for word, read back as the case was opened with it."""

from __future__ import annotations

from functools import lru_cache

from case_store.models import Case, SopDocument
from case_store.refusals import NotFound
from case_store.store import Tx
from case_store.wording import case_label
from sop.loader import LoadedSop, loads


async def pin(tx: Tx, loaded: LoadedSop) -> SopDocument:
    """Keep the document, once for all cases that run it. The caller holds the case numbers meanwhile."""
    document = await tx.session.get(SopDocument, loaded.digest)
    if document is None:
        document = SopDocument(digest=loaded.digest, key=loaded.sop.key, version=loaded.sop.version, text=loaded.text)
        tx.session.add(document)
    return document


async def pinned(tx: Tx, case: Case) -> LoadedSop:
    """Return the SOP that the case was opened with, whatever the library says today.

    Raises:
        NotFound: The document is not on record.
    """
    document = await tx.session.get(SopDocument, case.sop_digest)
    if document is None:
        raise NotFound(f"the SOP {case.sop_digest} of {case_label(case)} is not on record")
    return _read(document.text, f"{document.key} (version {document.version}) of {case_label(case)}")


@lru_cache(maxsize=128)
def _read(text: str, source: str) -> LoadedSop:
    # The same text always gives the same SOP, so remembering it saves the reading and changes nothing.
    return loads(text, source)
