"""The processes of the engine: `python -m flows serve|worker|relay|deploy|sweep|notify-test|reply-take`.

The command line (`casewright up`, `worker`, `relay`, `deploy`) starts these; it does not import Prefect itself.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from case_store.errors import StoreError
from case_store.settings import Settings
from notifiers.errors import NotifierError


def main() -> int:
    """Run one of the engine's processes; returns its exit code."""
    given = _words().parse_args()
    settings = Settings()
    os.environ.setdefault("PREFECT_API_URL", settings.prefect_api_url)  # before Prefect reads it
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if given.command == "deploy" and given.write:
        from flows import deployments  # noqa: PLC0415 - loads Prefect

        deployments.write(given.write)
        return 0
    try:
        if given.command == "notify-test":
            from flows.notify_test import Asked, notify_test  # noqa: PLC0415 - loads Prefect

            logging.getLogger().setLevel(logging.ERROR)  # it tells the steps itself
            return asyncio.run(notify_test(settings, Asked(given.person, given.channel, given.by, given.anyway)))
        if given.command == "reply-take":
            from flows.replies.by_hand import take_file  # noqa: PLC0415 - loads the case store

            return asyncio.run(take_file(settings, given.file, given.by))
        return asyncio.run(_until_stopped(_process(given.command, settings)))
    except (StoreError, NotifierError) as error:
        sys.stderr.write(f"{error.diagnostics()}\n")
        return 1


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="worker and relay in one process")
    commands.add_parser("worker", help="a worker for the work pool casewright")
    commands.add_parser("relay", help="the relay")
    deploy = commands.add_parser("deploy", help="deploy all SOPs to Prefect")
    deploy.add_argument("--write", metavar="FILE", type=Path, help="only write prefect.yaml for the built-in SOPs")
    commands.add_parser("sweep", help="sweep once")
    test = commands.add_parser("notify-test", help="send one test message")
    test.add_argument("person")
    test.add_argument("--channel")
    test.add_argument("--by", required=True)
    test.add_argument("--anyway", action="store_true")
    take = commands.add_parser("reply-take", help="take one mail that came back")
    take.add_argument("file", type=Path)
    take.add_argument("--by", required=True)
    return parser


def _process(command: str, settings: Settings) -> Coroutine[Any, Any, None]:
    from flows import processes  # noqa: PLC0415 - loads Prefect

    return {
        "serve": processes.serve,
        "worker": processes.worker,
        "relay": processes.relay,
        "deploy": processes.deploy,
        "sweep": processes.sweep,
    }[command](settings)


async def _until_stopped(work: Coroutine[Any, Any, None]) -> int:
    """Run until it ends, or until SIGINT or SIGTERM; then let it end in order."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
