"""The process that fills templates in which are not ours: reads them and the facts, limits itself, and answers."""

from __future__ import annotations

import json
import resource
import sys

from notifiers.errors import RenderRefused
from notifiers.limited import CPU, MEMORY
from notifiers.sandbox import fill


def main() -> None:
    """Answer one request from standard input."""
    request = json.loads(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        filled = {part: fill(name, source, part, request["facts"]) for part, (name, source) in request["parts"].items()}
    except RenderRefused as error:
        answer: dict[str, object] = {"refused": str(error)}
    else:
        answer = {"filled": filled}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
