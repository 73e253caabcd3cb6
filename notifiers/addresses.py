"""Addresses as the providers want them, or a refusal that says what is wrong. Nothing here asks the network."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from notifiers.cleaning import one_line
from notifiers.errors import AddressRefused


@lru_cache(maxsize=256)  # our own address is asked about with every letter
def mailbox(address: str) -> str:
    """Give the address in ASCII, the domain in its IDNA form.

    Raises:
        AddressRefused: It has a display name, a quoted or non-ASCII local part, a bracketed IP address, a character
            that could end an SMTP command, or no sense.
    """
    # The library refuses `.local` and `localhost` because the world cannot reach them. Our own mail server can, so it
    # is asked about the same name below `.example`.
    inside = ".example"
    try:
        valid = validate_email(address + inside, allow_smtputf8=False, check_deliverability=False)
    except EmailNotValidError as reason:
        raise AddressRefused(f"{one_line(address, 100)!r} is not an e-mail address: {one_line(str(reason))}") from None
    if valid.ascii_email is None:
        raise AddressRefused(f"{one_line(address, 100)!r} cannot be written in ASCII")
    return valid.ascii_email.removesuffix(inside)


def phone_number(number: str) -> str:
    """Give the number in E.164 form: `+` and digits.

    A number the numbering plans do not know yet passes, as long as its length is right: the plans grow faster than the
    library, and the provider refuses what does not exist.

    Raises:
        AddressRefused: It does not begin with `+` and a country code, or has too few or too many digits.
    """
    shown = one_line(number, 40)
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException as reason:
        raise AddressRefused(f"{shown!r} is not a phone number with country code: {reason}") from None
    if not phonenumbers.is_possible_number(parsed):
        raise AddressRefused(f"{shown!r} is not a phone number with country code: wrong number of digits")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
