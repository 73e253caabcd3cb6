"""Asks before something that cannot be taken back."""

import sys

from console.errors import ConsoleError
from console.output import Printer


class NotConfirmed(ConsoleError):
    """Nothing was done: it was not confirmed."""

    next_step = "Look with --dry-run at what would go; then answer yes, or give --yes."


def confirm(printer: Printer, question: str) -> None:
    """Ask on the terminal; anything but `yes` counts as no.

    Raises:
        NotConfirmed: The answer is not yes, or there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{question} There is no terminal to ask on.")
    printer.warn(f"{question} Type yes to go on.")
    if sys.stdin.readline().strip().lower() != "yes":
        raise NotConfirmed
