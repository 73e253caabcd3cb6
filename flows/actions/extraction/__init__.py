"""Finding observables in what came in. Pure, and bounded in time whatever the bytes are."""

from flows.actions.extraction.finder import TYPES, Observable, find
from flows.actions.extraction.searching import Found, search

__all__ = ["TYPES", "Found", "Observable", "find", "search"]
