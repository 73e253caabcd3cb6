"""What a CEL expression says, read from its text: which values it names and how its loops nest.

The CEL library evaluates expressions but does not show their syntax tree; for names, the tokens
are enough. Everything here expects text that the library has compiled (other text does no harm,
it only yields names that mean nothing). Tokens follow the "Lexis" section of the CEL
specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

TokenKind: TypeAlias = Literal["name", "text", "number", "sign"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*)
    | (?P<text>
          (?:[bB]?[rR]|[rR][bB])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
        | [bB]?(?:\"{3}(?:\\.|.)*?\"{3}|'{3}(?:\\.|.)*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      )
    | (?P<number>0x[0-9a-fA-F]+u?|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?u?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||[=!<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_WORDS = frozenset({"true", "false", "null", "in"})
_SIMPLE_TEXT = re.compile(r"""(["'])([^\\\n]*)\1""")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression and the characters `start` to `end` it is made of."""

    kind: TokenKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that an expression names: `("tasks", "confirm", "verdict")`, tokens `first` to `last`."""

    path: tuple[str, ...]
    first: int
    last: int

    def __str__(self) -> str:
        """Write it as conditions do."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class _Loop:
    variable: str
    first: int
    last: int


class CelText:
    """The tokens of an expression, and what they name."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Return the expression's tokens, without spaces and comments."""
        return tuple(
            Token(kind, found.group(), found.start(), found.end())
            for found in _TOKEN.finditer(self.text)
            if (kind := _kind(found.lastgroup))
        )

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """Return every value the expression names, but not the variables of its own loops."""
        return tuple(found for found in self._chains() if not self._is_variable(found))

    @cached_property
    def nesting(self) -> int:
        """Return how many loops (`exists`, `map`, …) are inside one another."""
        return max((sum(_within(one.first, other) for other in self._loops) for one in self._loops), default=0)

    def is_sign(self, index: int, sign: str) -> bool:
        """Say whether the token of that index is this sign."""
        return 0 <= index < len(self.tokens) and self.tokens[index].text == sign and self.tokens[index].kind == "sign"

    def literal(self, index: int) -> str | None:
        """Return the text between the quotes when the token is a plain piece of text."""
        if not 0 <= index < len(self.tokens) or self.tokens[index].kind != "text":
            return None
        found = _SIMPLE_TEXT.fullmatch(self.tokens[index].text)
        return found[2] if found else None

    def calls(self, name: str) -> Iterator[int]:
        """Yield the index of the first argument of each call of this method or function."""
        for index, token in enumerate(self.tokens):
            if token.kind == "name" and token.text == name and self.is_sign(index + 1, "("):
                yield index + 2

    def with_empty_as_missing(self) -> str:
        """Return the expression with `has(x)` saying that x is there *and* is not null."""
        text = self.text
        for first in reversed(list(self.calls("has"))):
            chain = next((found for found in self._chains() if found.first == first), None)
            if chain is None or not self.is_sign(chain.last + 1, ")"):
                continue
            start, end = self.tokens[first - 2].start, self.tokens[chain.last + 1].end
            named = self.text[self.tokens[first].start : self.tokens[chain.last].end]
            text = f"{text[:start]}(has({named}) && {named} != null){text[end:]}"
        return text

    def _chains(self) -> Iterator[Reference]:
        index = 0
        while index < len(self.tokens):
            token = self.tokens[index]
            starts = token.kind == "name" and token.text not in _WORDS and not self.is_sign(index - 1, ".")
            if not starts or self.is_sign(index + 1, "("):
                index += 1
                continue
            chain = self._chain(index)
            yield chain
            index = chain.last + 1

    def _chain(self, first: int) -> Reference:
        path, last = [self.tokens[first].text], first
        while True:
            key = self.literal(last + 2) if self.is_sign(last + 1, "[") and self.is_sign(last + 3, "]") else None
            if key is not None:
                path.append(key)
                last += 3
            elif self._selects(last + 1):
                path.append(self.tokens[last + 2].text)
                last += 2
            else:
                return Reference(tuple(path), first, last)

    def _selects(self, dot: int) -> bool:
        """Say whether a field (not a method) follows the dot."""
        named = dot + 1 < len(self.tokens) and self.tokens[dot + 1].kind == "name"
        return self.is_sign(dot, ".") and named and not self.is_sign(dot + 2, "(")

    @cached_property
    def _loops(self) -> tuple[_Loop, ...]:
        return tuple(
            _Loop(self.tokens[first].text, first, self._closing(first))
            for name in _LOOPS
            for first in self.calls(name)
            if self.is_sign(first + 1, ",") and self.tokens[first].kind == "name"
        )

    def _closing(self, index: int) -> int:
        """Return the index of the bracket that closes the one before the token."""
        depth = 1
        for position in range(index, len(self.tokens)):
            token = self.tokens[position]
            if token.kind == "sign":
                depth += (token.text in "([{") - (token.text in ")]}")
            if depth == 0:
                return position
        return len(self.tokens)

    def _is_variable(self, reference: Reference) -> bool:
        return any(loop.variable == reference.path[0] and _within(reference.first, loop) for loop in self._loops)


def _within(index: int, loop: _Loop) -> bool:
    return loop.first <= index <= loop.last


def _kind(group: str | None) -> TokenKind | None:
    kinds: dict[str, TokenKind] = {"name": "name", "text": "text", "number": "number", "sign": "sign"}
    return kinds.get(group or "")
