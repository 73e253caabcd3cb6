"""Kinds of events that only tests record: `test.asked` and so on, each with the facts that some test gives it."""

from case_store.audit import catalogue
from case_store.audit.catalogue.kinds import MAP, OTHER, TEXT, UPDATE, Fact, kind
from case_store.models import Audited, Base, OutboxEntry

ROWS = [mapper.class_.entity_type for mapper in Base.registry.mappers if issubclass(mapper.class_, Audited)]
ROWS.append(OutboxEntry.__tablename__)
ANYWHERE = ("case", "person", "system")
NAMES = ("cases", "code_id", "n", "number", "text", "what", "why", "words")
FACTS = [Fact(name, TEXT, "Whatever a test says.") for name in NAMES]
FORGED = Fact("x", MAP, "What looks like a commitment.")

KINDS = [
    *(
        kind(f"test.{word}", UPDATE, "A test changed a row.", *FACTS, about=ROWS, streams=ANYWHERE)
        for word in ("asked", "changed", "deleted", "imported", "looked_at")
    ),
    *(
        kind(f"test.{word}", OTHER.unknown, "A test had something to say.", *FACTS, FORGED, streams=ANYWHERE)
        for word in ("acted", "counted", "later", "noted", "said", "slow", "started", "told", "went_on", "wrote")
    ),
]

catalogue.add(KINDS)
