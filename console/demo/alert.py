"""The demonstration's alert, as if it had just happened."""

import re
from datetime import datetime, timedelta
from pathlib import Path

FILE = Path(__file__).with_name("alert-wazuh-ssh.json")

_PLACE = re.compile(r"\$\{(now|epoch|ago (\d+))\}")


def fresh(at: datetime, text: str | None = None) -> bytes:
    """Return the alert with its times set: it was raised at this moment.

    Args:
        at: The moment, in UTC.
        text: The alert with places for its times: `${now}` as Wazuh writes times, `${epoch}` in seconds, and
            `${ago 12}` as syslog writes the time twelve seconds before.
    """

    def filled(place: re.Match[str]) -> str:
        what, ago = place[1], place[2]
        if what == "epoch":
            return str(int(at.timestamp()))
        if what == "now":
            return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"
        then = at - timedelta(seconds=int(ago))
        return f"{then:%b} {then.day:2d} {then:%H:%M:%S}"

    return _PLACE.sub(filled, text if text is not None else FILE.read_text("utf-8")).encode()
