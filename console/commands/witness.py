"""`casewright witness`: the second party, which confirms that a log only grew."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from console.call import Here
from console.errors import BadLogKey, PortTaken
from console.numbers import Port

if TYPE_CHECKING:
    from case_store.audit.checkpoints import VerifierKey

_LOOPBACK = "127.0.0.1"


async def witness(
    *,
    log_key: Annotated[
        list[Path],
        Parameter(
            negative="",
            help="Public key of a log to witness, as `casewright audit key` prints it; give it once for each log, and"
            " twice for a log that is about to change its key.",
        ),
    ],
    state: Annotated[
        Path | None, Parameter(help="Folder of its own key and memory; default: witness in CASEWRIGHT_HOME.")
    ] = None,
    host: Annotated[str, Parameter(help="Address to listen on.", show_default=True)] = _LOOPBACK,
    port: Annotated[Port, Parameter(help="Port to listen on; 0 takes any free one.", show_default=True)] = 4290,
    name: Annotated[
        str | None, Parameter(help="Name to sign under, such as witness.example/w1; fixed with the first start.")
    ] = None,
    call: Here,
) -> int:
    """Confirm for others that the log of an installation only grew; run it on a machine that they do not control.

    It remembers, for each log, the newest checkpoint it has confirmed, and confirms another one only with the proof
    that nothing before it was changed, left out or put in. So whoever steals the log's key still cannot rewrite the
    past without being seen.

    It needs no database and none of the log's secrets. Keep its folder: a witness that forgets would start anew. It
    speaks the protocol of C2SP tlog-witness in plain HTTP; put a proxy with TLS before it where others can reach the
    way. Ctrl-C or SIGTERM ends it.
    """
    from case_store.audit import witness_memory
    from console import witness_server
    from console.stopping import until_stopped

    keys = _log_keys(log_key)
    folder = state or call.settings.home / "witness"
    with witness_memory.alone(folder):
        signer = witness_memory.load_or_create_key(folder, name)
        if signer.name in keys:
            raise BadLogKey(f"{signer.name} is the name of the log and of this witness")
        memory = witness_memory.Memory(folder, signer)
        server = witness_server.Server(memory, keys, now=lambda: call.now, say=call.printer.warn)
        try:
            async with server.listening(host, port) as url:
                vkey = signer.verifier().as_witness()
                call.printer.say(f"witness {vkey}")
                call.printer.say(f"listens on {url}")
                call.printer.say(f"register it at the log: CASEWRIGHT_WITNESSES='{url} {vkey}', then restart the relay")
                for origin in keys:
                    known = memory.seen.get(origin)
                    said = f"{known.size} events were confirmed last" if known else "nothing was confirmed yet"
                    call.printer.say(f"log {origin}: {said}")
                call.printer.out.file.flush()
                await until_stopped(_for_ever())
        except OSError as error:
            raise PortTaken(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error
    return 0


async def _for_ever() -> None:
    import asyncio

    await asyncio.Event().wait()


def _log_keys(files: list[Path]) -> dict[str, list["VerifierKey"]]:
    found: dict[str, list[VerifierKey]] = {}
    for file in files:
        key = _read(file)
        found.setdefault(key.name, []).append(key)
    return found


def _read(file: Path) -> "VerifierKey":
    from case_store.audit.checkpoints import ED25519, NoteRefused, VerifierKey

    parse: Callable[[str], VerifierKey] = VerifierKey.parse
    try:
        key = parse(file.read_text(encoding="ascii"))
    except OSError as error:
        raise BadLogKey(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, NoteRefused) as error:
        raise BadLogKey(f"{file}: {error}") from error
    if key.algorithm != ED25519:
        raise BadLogKey(f"{file} is the key of a witness, not of a log")
    return key
