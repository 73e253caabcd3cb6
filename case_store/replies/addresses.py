"""The addresses that replies and bounces come back to: each names one message of ours, signed.

    soc+r<42 characters>@corp.example     where a person's reply goes (Reply-To)
    soc+b<42 characters>@corp.example     where a mail server says what it could not deliver (the envelope's sender)

The characters are base32 of the message's id and a mark over it. So the address binds the person, the case and the task
of that message. They are lower case and read in any case: some servers change it.
"""

from __future__ import annotations

import binascii
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from case_store.links.keys import MARK_BYTES, LinkKeys

Kind = Literal["reply", "bounce"]

LONGEST_NAME: Final = 20
"""Characters before the @ of our mailbox: with a token they are 64 at most (RFC 5321)."""

_PURPOSE: Final[dict[Kind, str]] = {"reply": "casewright.reply.v1", "bounce": "casewright.bounce.v1"}
_LETTER: Final[dict[Kind, str]] = {"reply": "r", "bounce": "b"}
_ID_BYTES: Final = 16
_LENGTH: Final = -(-(_ID_BYTES + MARK_BYTES) * 8 // 5)
_TOKEN: Final = re.compile(rf"([rb])([a-z2-7]{{{_LENGTH}}})", re.ASCII)
_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Named:
    """The message that an address names: the id of its row in the outbox, and what the address is for."""

    kind: Kind
    outbox_id: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one mailbox.

    Attributes:
        mailbox: Its address, without a token.
        keys: What signs.
        plus: Whether its server delivers `name+anything` to it; without that, no address names a message.
    """

    mailbox: str
    keys: LinkKeys = field(repr=False)
    plus: bool = True

    def reply_to(self, outbox_id: str) -> str:
        """Return where replies to a message go."""
        return self._address("reply", outbox_id) if self.plus else self.mailbox

    def bounce_to(self, outbox_id: str) -> str | None:
        """Return where a mail server tells that it could not deliver a message; None where only we could tell whose."""
        return self._address("bounce", outbox_id) if self.plus else None

    def read(self, addresses: Iterable[str]) -> Named | None:
        """Return the message that the first of these addresses names which we signed; None when none does."""
        found = (self._read(one.lower()) for one in list(addresses)[:_MOST])
        return next((one for one in found if one is not None), None)

    def is_ours(self, address: str) -> bool:
        """Tell whether an address is that of the mailbox, with or without a token."""
        name, _, domain = address.lower().rpartition("@")
        return f"{name.partition('+')[0]}@{domain}" == self.mailbox.lower()

    def _address(self, kind: Kind, outbox_id: str) -> str:
        name, _, domain = self.mailbox.rpartition("@")
        content = UUID(outbox_id).bytes
        return f"{name}+{_LETTER[kind]}{_written(content + self.keys.mark(_PURPOSE[kind], content))}@{domain}"

    def _read(self, address: str) -> Named | None:
        token = _TOKEN.fullmatch(address.rpartition("@")[0].rpartition("+")[2])
        if token is None or not self.is_ours(address):
            return None
        kind: Kind = "reply" if token[1] == _LETTER["reply"] else "bounce"
        try:
            signed = b32decode(token[2].upper() + "=" * (-_LENGTH % 8))
        except binascii.Error:
            return None
        content, mark = signed[:_ID_BYTES], signed[_ID_BYTES:]
        if _written(signed) != token[2] or not self.keys.has_mark(_PURPOSE[kind], content, mark):
            return None
        return Named(kind, str(UUID(bytes=content)))


def _written(signed: bytes) -> str:
    return b32encode(signed).decode().rstrip("=").lower()
