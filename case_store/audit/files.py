"""The files of evidence, compared with what the record says of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from case_store.audit.commitments import pseudonym
from case_store.audit.fold import Difference
from case_store.blobs import Blobs, ContentDamaged, NoSuchContent
from case_store.models import Evidence

if TYPE_CHECKING:
    from case_store.store import CaseStore, Tx

_CHUNK: Final = 200


async def number(tx: Tx) -> int:
    """Return about how many files there are to be compared."""
    return await tx.session.scalar(select(func.count(func.distinct(Evidence.sha256)))) or 0


async def differences(
    store: CaseStore, blobs: Blobs, *, seen: Callable[[], object] = lambda: None
) -> AsyncIterator[Difference]:
    """Yield each file that is missing, or is not what its evidence says; what was erased need not be there.

    Args:
        store: The case store; no transaction is open while files are read.
        blobs: Where the files are.
        seen: Is called for each file.
    """
    last = ""
    while digests := await _after(store, last):
        for digest in digests:
            if (wrong := await _wrong(blobs, digest)) is not None:
                for evidence in await _needing(store, [digest]):  # asked anew: it may have been erased meanwhile
                    cases = frozenset((evidence.case_id,) if evidence.case_id else ())
                    yield Difference("evidence", evidence.id, None, wrong, f"has the SHA-256 {digest}", cases)
            seen()
        last = digests[-1]


async def _after(store: CaseStore, last: str) -> list[str]:
    wanted = select(Evidence.sha256).where(Evidence.sha256 > last).distinct().order_by(Evidence.sha256).limit(_CHUNK)
    async with store.reading() as tx:
        return list(await tx.session.scalars(wanted))


async def _needing(store: CaseStore, digests: Sequence[str]) -> list[Evidence]:
    wanted = select(Evidence).where(Evidence.sha256.in_(digests)).order_by(Evidence.id)
    async with store.reading() as tx:
        return [one for one in await tx.session.scalars(wanted) if one.name != pseudonym(one.id)]


async def _wrong(blobs: Blobs, digest: str) -> str | None:
    try:
        await blobs.check(digest)
    except NoSuchContent:
        return "its file is missing"
    except ContentDamaged:
        return "its file is another one"
    except OSError as error:
        return f"its file cannot be read ({error.strerror})"
    return None
