"""Letters a second through a real Postfix with STARTTLS and a login: connections that are kept, against new ones.

    python -m bench.mail [--letters 400] [--disk]

First as the relay sends: claimed, written, handed over on three connections, and each receipt noted in a case store
(SQLite) before the next letter takes its last step. Then the notifier alone, all letters at once. Connections that are
kept are compared with new ones used in the same way, and with one new connection after the other, as a relay without a
pool would have it. The ways take turns in the same run. Every letter is then looked for where Postfix hands its mail
on. Its queue is in memory, unless --disk: Postfix forces each letter to the disk, and on a busy one that is what would
be measured.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pydantic import SecretStr

from bench.table import print_table
from case_store import migrate
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.outbox import Policy
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.clock import now
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from tests.postfix import HOW_TO_GET_IT, PASSWORD, USER, Postfix, PostfixMissing, own_postfix

_ROUNDS = 3
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a random name below it
_FOLDER = _MEMORY if _MEMORY.is_dir() else None
_CONNECTIONS = 3
BY = Actor.system("bench")


def _mail(postfix: Postfix, connections: int, letters_each: int) -> EmailNotifier:
    return EmailNotifier(
        EmailConfig(
            host=postfix.host,
            port=postfix.port,
            sender="soc@corp.example",
            username=USER,
            password=SecretStr(PASSWORD),
            ca_file=postfix.ca_file,
            connections=connections,
            letters_each=letters_each,
        )
    )


async def _alone(postfix: Postfix, letters: int, key: str, connections: int, letters_each: int) -> float:
    """Send so many letters with the notifier alone, and return how many a second that were."""
    mail = _mail(postfix, connections, letters_each)
    began = perf_counter()
    outcomes = await asyncio.gather(
        *(mail.send(example_message(dedup_key=f"{key}:{number}")) for number in range(letters))
    )
    took = perf_counter() - began
    await mail.close()
    if wrong := [outcome for outcome in outcomes if outcome.kind != "ok"]:
        raise SystemExit(f"{len(wrong)} letters were not taken; the first: {wrong[0].reason}")
    return letters / took


async def _as_relay(postfix: Postfix, letters: int, key: str, connections: int, letters_each: int) -> float:
    """Send so many letters as the relay does, and return how many a second that were."""
    with TemporaryDirectory(dir=_FOLDER) as folder:
        settings = Settings(home=Path(folder))
        await migrate.upgrade(settings.database_url)
        store = await CaseStore.open(settings)
        await _promise(store, letters, key)
        mail = _mail(postfix, connections, letters_each)
        lane = Lane(store, "email", mail, Writer("https://casewright.example/"), Policy({}), BY, now)
        began, sent = perf_counter(), 0
        while sent < letters:
            sent += await lane.send_due()
        took = perf_counter() - began
        await mail.close()
        await store.close()
    return letters / took


async def _promise(store: CaseStore, letters: int, key: str) -> None:
    async with store.transaction() as tx:
        person = Person(handle="ada", name="Ada", email="ada@example.org")
        tx.session.add(person)
        tx.record("person.added", person, by=BY, at=now())
        await tx.flush()
        for number in range(letters):
            entry = OutboxEntry(
                dedup_key=f"{key}:{number}:{person.id}:email",
                channel="email",
                recipient_id=person.id,
                template="test",
                next_at=now(),
                context={"recipient": {"name": "Ada", "time_zone": None}},
            )
            tx.session.add(entry)


async def _measure(postfix: Postfix, letters: int) -> None:
    postfix.sink.stop()  # what Postfix hands on meanwhile would be measured too
    for name, way in (("as the relay sends", _as_relay), ("the notifier alone", _alone)):
        rows = []
        for turn in range(_ROUNDS):
            one = await way(postfix, letters, f"{name} one:{turn}", 1, 1)
            new = await way(postfix, letters, f"{name} new:{turn}", _CONNECTIONS, 1)
            kept = await way(postfix, letters, f"{name} kept:{turn}", _CONNECTIONS, 100)
            row = [str(turn + 1), f"{one:.0f}", f"{new:.0f}", f"{kept:.0f}", f"{kept / one:.1f}", f"{kept / new:.1f}"]
            rows.append(row)
        print_table(
            f"{letters} letters, {name}, letters a second",
            ["round", "new, one by one", f"new, {_CONNECTIONS} at once", f"{_CONNECTIONS} kept", "/ first", "/ second"],
            rows,
        )
    postfix.sink.start()
    postfix.flush()
    sent = 2 * 3 * _ROUNDS * letters
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
