"""What goes wrong before a message is tried. What goes wrong while it is tried is an `Outcome`, not an error."""

from __future__ import annotations


class NotifierError(Exception):
    """A notifier cannot do its work."""

    next_step: str = "Read the reason above, put it right, and start again."

    def __init__(self, message: str = "", *, next_step: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        if next_step is not None:
            self.next_step = next_step

    def diagnostics(self) -> str:
        """Give the message and the next step, for a person at a terminal."""
        return f"{self}\n  next: {self.next_step}"


class SettingsRefused(NotifierError):
    """The settings of a channel contradict themselves or are not safe."""

    next_step = "Correct the settings of this channel and start again."


class RenderRefused(NotifierError):
    """A message cannot be written from this template and these facts."""

    next_step = "Compare the facts given with what the template asks for (notifiers/render.py lists them)."


class AddressRefused(NotifierError):
    """This is not an address that a message can be sent to."""

    next_step = "Correct the person's address: casewright people import."


class AddressMissing(AddressRefused):
    """The person has no address for this channel on record."""
