"""Letters a second through a real Postfix with STARTTLS and a login: connections that are kept, against new ones.

    python -m bench.mail [--letters 400] [--disk]

Both ways take turns in the same run, with the same number of letters under way at once. Every letter is then looked for
where Postfix hands its mail on. Its queue is in memory, unless --disk: Postfix forces each letter to the disk, and on a
busy one that is what would be measured.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from time import perf_counter

from pydantic import SecretStr

from bench.table import print_table
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from tests.postfix import HOW_TO_GET_IT, PASSWORD, USER, Postfix, PostfixMissing, own_postfix

_ROUNDS = 3
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a random name below it
_CONNECTIONS = 3


async def _send(postfix: Postfix, letters: int, key: str, letters_each: int) -> float:
    """Send so many letters and return how many a second that were."""
    config = EmailConfig(
        host=postfix.host,
        port=postfix.port,
        sender="soc@corp.example",
        username=USER,
        password=SecretStr(PASSWORD),
        ca_file=postfix.ca_file,
        connections=_CONNECTIONS,
        letters_each=letters_each,
    )
    mail = EmailNotifier(config)
    began = perf_counter()
    outcomes = await asyncio.gather(
        *(mail.send(example_message(dedup_key=f"{key}:{number}")) for number in range(letters))
    )
    took = perf_counter() - began
    await mail.close()
    if wrong := [outcome for outcome in outcomes if outcome.kind != "ok"]:
        raise SystemExit(f"{len(wrong)} letters were not taken; the first: {wrong[0].reason}")
    return letters / took


async def _measure(postfix: Postfix, letters: int) -> None:
    rows = []
    postfix.sink.stop()  # what Postfix hands on meanwhile would be measured too
    for turn in range(_ROUNDS):
        new = await _send(postfix, letters, f"new:{turn}", letters_each=1)
        kept = await _send(postfix, letters, f"kept:{turn}", letters_each=100)
        rows.append([str(turn + 1), f"{new:.0f}", f"{kept:.0f}", f"{kept / new:.1f}"])
    print_table(
        f"{letters} letters, {_CONNECTIONS} at once, letters a second",
        ["round", "a new connection each", "connections kept", "times as many"],
        rows,
    )
    postfix.sink.start()
    postfix.flush()
    sent = 2 * _ROUNDS * letters
    delivered = await postfix.delivered(sent, seconds=300)
    ids = {got.letter["Message-ID"] for got in delivered}
    print(f"\n  sent {sent}, delivered {len(delivered)}, different Message-IDs {len(ids)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=400)
    parser.add_argument("--disk", action="store_true", help="with the queue on the disk")
    given = parser.parse_args()
    try:
        with own_postfix(again="1h", within=_MEMORY if _MEMORY.is_dir() and not given.disk else None) as postfix:
            asyncio.run(_measure(postfix, given.letters))
    except PostfixMissing as missing:
        sys.exit(f"{missing}\n  next: {HOW_TO_GET_IT}")


if __name__ == "__main__":
    main()
