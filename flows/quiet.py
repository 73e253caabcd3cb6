"""Keeps Prefect from logging as errors what is normal here: a run that waits for a person, an answer refused."""

from __future__ import annotations

import logging

# Prefect logs "Finished in state ..." at ERROR level for every state that is not Completed.
_NORMAL = tuple(f"Finished in state {name}(" for name in ("Suspended", "AwaitingOwner", "Refused", "CaseCancelled"))
_LOGGER = "prefect.flow_runs"


class _Waiting(logging.Filter):
    """Turns the message about a waiting run into one at INFO level."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; lower the level of those about waiting."""
        if record.levelno == logging.ERROR and record.getMessage().startswith(_NORMAL):
            record.levelno, record.levelname = logging.INFO, "INFO"
            return logging.getLogger(record.name).isEnabledFor(logging.INFO)
        return True


_FILTER = _Waiting()


def quiet_waiting_states() -> None:
    """Have waiting runs logged as information. Calling it again changes nothing."""
    logging.getLogger(_LOGGER).addFilter(_FILTER)
